# Sourced by the other scripts: goes to the project's root and sets up a virtual environment there.
#
# use_environment EXTRAS   makes $venv ready with the project and those extras installed, and puts it on PATH
#
# PYTHON=python3.12 chooses the interpreter, VENV=.venv-3.12 the directory; by default the first Python >= 3.11, in .venv.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Also true for a launcher that is there but has no interpreter behind it: such a one fails when it is run.
is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

can_make_environments() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

find_python() {
    local candidate without_venv=
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        is_new_enough "$candidate" || continue
        if can_make_environments "$candidate"; then
            echo "$candidate"
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    if [[ $without_venv ]]; then
        fail "$without_venv cannot make virtual environments: its venv module is missing." \
            "On Debian and Ubuntu: apt-get install python3-venv"
    fi
    fail "atomhttp needs Python 3.11 or newer, and none was found${PYTHON:+ as $PYTHON}." \
        "Install one (Debian and Ubuntu: apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python $0"
}

has_c_compiler() {
    command -v "${CC:-cc}" >/dev/null || command -v gcc >/dev/null
}

use_environment() {
    local extras=$1 python stamp want
    # Made anew when it is broken: by an interrupted run, or because its interpreter is gone.
    if ! is_new_enough "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        echo "Setting up $venv with $("$python" --version) ..." >&2
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    # Installed again only when the project's metadata, or its place, have changed.
    stamp=$venv/.installed-$extras
    want="$(cksum <pyproject.toml) $PWD"
    if [[ ! -f $stamp || $(<"$stamp") != "$want" ]]; then
        echo "Installing atomhttp[$extras] into $venv ..." >&2
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
        echo "$want" >"$stamp"
    fi
    PATH=$(cd "$venv/bin" && pwd):$PATH
}
