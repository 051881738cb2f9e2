# Sourced by the other scripts: makes .venv with the project in it, once, and again when
# pyproject.toml has changed. Needs Python 3.11 or newer and nothing else.
# Usage: EXTRA=test; . scripts/environment.sh

cd "$(dirname "$0")/.." || exit 1
stamp=".venv/installed-${EXTRA:-run}"

find_python() {
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer is needed, and none was found: install it, or set PYTHON" >&2
    exit 1
}

if ! cmp -s pyproject.toml "$stamp"; then
    python=$(find_python) || exit 1
    echo "Setting up .venv with $("$python" --version) ..."
    if [ ! -x .venv/bin/python ]; then
        "$python" -m venv .venv || {
            rm -rf .venv
            echo "No virtual environment could be made. On Debian and Ubuntu:" \
                "apt-get install python3-venv" >&2
            exit 1
        }
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".${EXTRA:+[$EXTRA]}" || exit 1
    cp pyproject.toml "$stamp"
fi
