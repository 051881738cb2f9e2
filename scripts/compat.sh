# Sourced by scripts/test: makes .venv-racs-0.1.2, once, with the client of the first RACS in it for
# tests/compat. It is imported by the same name as this project's, and so cannot live in .venv.
# By itself: sh scripts/compat.sh

[ -f scripts/compat.sh ] || cd "$(dirname "$0")/.." || exit 1
compat=.venv-racs-0.1.2
# Its own requirements do not name all that it imports.
needs="racs==0.1.2 msgpack crc32c mmh3 zstandard"

if [ "$(cat $compat/installed 2>/dev/null)" != "$needs" ]; then
    echo "Setting up $compat ..."
    python="${PYTHON:-python3}"
    [ -x .venv/bin/python ] && python=.venv/bin/python
    # shellcheck disable=SC2086
    "$python" -m venv --clear $compat &&
        $compat/bin/python -m pip install --quiet --disable-pip-version-check $needs &&
        echo "$needs" >$compat/installed ||
        echo "$compat could not be made: the tests in tests/compat will fail" >&2
fi
