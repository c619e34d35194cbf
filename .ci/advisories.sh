# shellcheck shell=bash
# Known holes in what we build on. Their list is a git repository on a host that not every machine reaches.

# The list is fetched apart from the check, so that a host out of reach is told from a hole that was found:
# the second fails the run, the first is said loudly and counted as skipped. An older copy of the list, where
# there is one, is better than none.
check_advisories() {
  local copies=("${CARGO_HOME:-$HOME/.cargo}"/advisory-dbs/*/crates)
  if ! timeout 120 cargo deny fetch db; then
    if [[ ! -d ${copies[0]} ]]; then
      cat <<'SAID'

  ########################################################################
  #  NOT CHECKED: known security advisories (RustSec).                   #
  #  Their list could not be fetched and there is no older copy of it.   #
  #  Run this where it can be: .ci/run dependencies                      #
  ########################################################################

SAID
      skipped=$((skipped + 1))
      return 0
    fi
    printf 'the list of advisories could not be fetched: checking against the older copy in %s\n' "${copies[0]%/crates}"
  fi
  # What was fetched is not fetched again: that failure would not be forgiven.
  cargo deny --locked --offline check --hide-inclusion-graph advisories
}
