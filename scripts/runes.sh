# Sourced by .ci/run: makes .venv-runes-0.9.4, once, with the client of runes in it, for
# tests/runes. It is large (some 600 MB), needs Python 3.11 or 3.12, and so is not in .venv.
# By itself: sh scripts/runes.sh

[ -f scripts/runes.sh ] || cd "$(dirname "$0")/.." || exit 1
runes=.venv-runes-0.9.4
needs="runes-client==0.9.4"

if [ "$(cat $runes/installed 2>/dev/null)" != "$needs" ]; then
    for python in "${PYTHON:-python3}" python3.11 python3.12; do
        "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null &&
            break
    done
    echo "Setting up $runes ..."
    # shellcheck disable=SC2086
    "$python" -m venv --clear $runes &&
        $runes/bin/python -m pip install --quiet --disable-pip-version-check $needs &&
        echo "$needs" >$runes/installed ||
        echo "$runes could not be made: the tests in tests/runes are skipped" >&2
fi
