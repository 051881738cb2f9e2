# Sourced by scripts/bench: makes .venv-schemes, once, with other interpreters of Scheme in it, which
# ours is measured beside. By itself: sh scripts/schemes.sh

[ -f scripts/schemes.sh ] || cd "$(dirname "$0")/.." || exit 1
schemes=.venv-schemes
needs="calysto-scheme==2.1.9 skime==0.3.1 smallscheme==0.0.23 pyscheme==0.0.4"

if [ "$(cat $schemes/installed 2>/dev/null)" != "$needs" ]; then
    echo "Setting up $schemes ..."
    # shellcheck disable=SC2086
    .venv/bin/python -m venv --clear $schemes &&
        $schemes/bin/python -m pip install --quiet --disable-pip-version-check $needs &&
        echo "$needs" >$schemes/installed ||
        echo "$schemes could not be made: the rows beside other Schemes are left out" >&2
fi
