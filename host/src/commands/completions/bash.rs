//! Bash also splits words at `=` and `:`, and replaces only the last piece. The library's script does not handle that.

use std::{
    ffi::OsString,
    io::{Error, Write},
    path::Path,
};

use clap::Command;
use clap_complete::env::{self, EnvCompleter};

pub(super) struct Bash;

const SCRIPT: &str = r#"
_alekseylearn() {
    local words=() rest=$COMP_LINE piece trimmed at prefix candidate quoted
    for ((at = 0; at <= COMP_CWORD; at++)); do
        piece=${COMP_WORDS[at]}
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        if [[ at -gt 0 && $trimmed == "$rest" && -n $piece ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece")
        fi
        rest=${trimmed#"$piece"}
    done
    prefix=${words[${#words[@]} - 1]}
    prefix=${prefix%"$2"}
    COMPREPLY=()
    while IFS= read -r candidate || [[ -n $candidate ]]; do
        printf -v quoted %q "${candidate#"$prefix"}"
        COMPREPLY+=("$quoted")
    done < <(
        VARIABLE=bash _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) COMPLETER -- "${words[@]}" 2> /dev/null
    )
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:.] ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
complete -o bashdefault -o nosort -F _alekseylearn BIN 2> /dev/null || complete -o bashdefault -F _alekseylearn BIN
"#;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let script = SCRIPT.replace("VARIABLE", variable).replace("COMPLETER", completer).replace("BIN", bin);
        out.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        arguments: Vec<OsString>,
        current: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        env::Bash.write_complete(command, arguments, current, out)
    }
}
