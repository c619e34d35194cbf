# shellcheck shell=bash
# Kafka and InfluxDB from the package registries, for ./services: fetched and built once, kept in $CACHE.

# The versions of docker-compose.yml.
KAFKA=4.1.1
LOG4J=2.25.3
DEPENDENCY_PLUGIN=3.8.1
# Of all jars: a file of `sha256sum` lines, in the order of their names, hashed again.
KAFKA_JARS_SHA256=fa93a3276f579e8b09f16e3998da420516c1e57abba4362b6de4b05af9148fa5
INFLUXDB=2.9.1
INFLUXDB_GO_SUM="\
github.com/influxdata/influxdb/v2 v2.9.1 h1:lCCimWY/VpSmNyfOUm5WqKhZijlgJA8JHSD/+39XXuA=
github.com/influxdata/influxdb/v2 v2.9.1/go.mod h1:hwLn1IiTz7gBx0XFFYu6g6dldfgg49PwgPYWpkzzTBM=
github.com/influxdata/pkg-config v0.3.0 h1:TY99MJ2w8ArIRmVjXDEBlSBww5RN77W6HKzf4tzUvfg=
github.com/influxdata/pkg-config v0.3.0/go.mod h1:ntXZ6eZqoTmTTRkIEgMg72MgZf8pZ1/xb01/a5/MOMs="
PKG_CONFIG_VERSION=0.3.0
JAVA_MIN=17
GO_MINOR_MIN=21

need_native_tools() {
  [[ $(uname -s) == Linux ]] ||
    fail "without Docker, and so with --tls, the servers run on Linux only: start a Docker engine and call this again"
  local missing="" tool java
  for tool in flock sha256sum timeout setsid java; do
    command -v "$tool" >/dev/null || missing+=" $tool"
  done
  [[ -z $missing ]] ||
    fail "missing:$missing. Start a Docker engine, or install them (on Debian: apt-get install util-linux coreutils default-jre-headless)"
  java=$(java -version 2>&1 | sed -nE '1s/.*"(1\.)?([0-9]+).*/\2/p')
  ((${java:-0} >= JAVA_MIN)) ||
    fail "Kafka $KAFKA needs Java $JAVA_MIN or later, and $(command -v java) is ${java:-of an unknown version}: put a later one first in PATH"
}

# need_tool TOOL WHAT_FOR WHERE_FROM
need_tool() {
  command -v "$1" >/dev/null || fail "$2 takes $1, which is not in PATH: start a Docker engine, or install it ($3)"
}

# Runs a step that is long and talks much: its words go to the log, a line every half minute goes out.
# with_progress LOG WHAT COMMAND…
with_progress() {
  local log=$1 what=$2 started=$SECONDS shown=$SECONDS pid status=0
  shift 2
  say "$what"
  "$@" >>"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.5
    if ((SECONDS - shown >= 30)); then
      shown=$SECONDS
      say "$what: $((SECONDS - started)) s, last line: $(tail -n 1 "$log" | cut -c 1-90)"
    fi
  done
  wait "$pid" || status=$?
  if ((status != 0)); then
    tail -n 25 "$log" >&2
    fail "$what failed after $((SECONDS - started)) s, see $log"
  fi
}

jars_sha256() { (cd "$1" && LC_ALL=C sha256sum -- *.jar | sha256sum | cut -d ' ' -f 1) 2>/dev/null; }

# Sets KAFKA_LIBS.
have_kafka() {
  KAFKA_LIBS=$CACHE/kafka-$KAFKA
  [[ $(jars_sha256 "$KAFKA_LIBS") != "$KAFKA_JARS_SHA256" ]] || return 0
  need_tool mvn "fetching Kafka $KAFKA" "on Debian: apt-get install maven"
  local scratch=$CACHE/kafka-$KAFKA.new log=$CACHE/kafka-$KAFKA.log
  rm -rf "$scratch" "$KAFKA_LIBS"
  mkdir -p "$scratch"
  kafka_pom >"$scratch/pom.xml"
  : >"$log"
  with_progress "$log" "fetching Kafka $KAFKA through Maven, 43 MB, once" \
    mvn --batch-mode --file "$scratch/pom.xml" \
    "org.apache.maven.plugins:maven-dependency-plugin:$DEPENDENCY_PLUGIN:copy-dependencies" \
    -DincludeScope=runtime "-DoutputDirectory=$scratch"
  rm "$scratch/pom.xml"
  local sum
  sum=$(jars_sha256 "$scratch")
  [[ $sum == "$KAFKA_JARS_SHA256" ]] ||
    fail "the jars in $scratch are not those of Kafka $KAFKA: their sum is $sum, and KAFKA_JARS_SHA256 in tests/servers/build.sh is $KAFKA_JARS_SHA256"
  mv "$scratch" "$KAFKA_LIBS"
}

kafka_pom() {
  cat <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>flagmeter</groupId><artifactId>services</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>$LOG4J</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J</version>
    </dependency>
  </dependencies>
</project>
POM
}

# Sets INFLUXD. What is built differs from machine to machine, so its sum is taken when it is built, against a
# cache that was damaged since; what it is built from is held by the Go sums above.
have_influxdb() {
  local built go scratch log
  built=$CACHE/influxdb-$INFLUXDB-$(uname -m)
  scratch=$built.new
  log=$built.log
  # shellcheck disable=SC2034 # it is what the caller starts
  INFLUXD=$built/influxd
  ! (cd "$built" && sha256sum --check --status influxd.sha256) 2>/dev/null || return 0
  need_tool go "building InfluxDB $INFLUXDB" "Go 1.$GO_MINOR_MIN or later, as go.dev/dl has it"
  need_tool cargo "building InfluxDB $INFLUXDB" "as rustup.rs says"
  need_tool cc "building InfluxDB $INFLUXDB" "on Debian: apt-get install gcc libc6-dev"
  go=$(go env GOVERSION | sed -nE 's/^go1\.([0-9]+).*/\1/p')
  ((${go:-0} >= GO_MINOR_MIN)) ||
    fail "building InfluxDB $INFLUXDB takes Go 1.$GO_MINOR_MIN or later (it fetches the one that InfluxDB asks for), and $(command -v go) is $(go env GOVERSION)"
  rm -rf "$scratch" "$built"
  mkdir -p "$scratch"
  : >"$log"
  (
    cd "$scratch" || exit
    # A part of it is Rust and asks for a toolchain of years ago: any that is installed will do.
    if command -v rustup >/dev/null && [[ -z ${RUSTUP_TOOLCHAIN:-} ]]; then
      RUSTUP_TOOLCHAIN=$(rustup show active-toolchain | cut -d ' ' -f 1)
      export RUSTUP_TOOLCHAIN
    fi
    export CGO_ENABLED=1 GOWORK=off GOFLAGS=-buildvcs=false
    unset CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTFLAGS
    printf '%s\n' "$INFLUXDB_GO_SUM" >go.sum
    go mod init flagmeter/services >>"$log" 2>&1
    with_progress "$log" "fetching the Go modules of InfluxDB $INFLUXDB, once" \
      go get -tool "github.com/influxdata/influxdb/v2/cmd/influxd@v$INFLUXDB" \
      "github.com/influxdata/pkg-config@v$PKG_CONFIG_VERSION"
    with_progress "$log" "building the pkg-config that finds InfluxDB's Rust part" \
      go build -o pkg-config github.com/influxdata/pkg-config
    export PKG_CONFIG=$scratch/pkg-config
    with_progress "$log" "building InfluxDB $INFLUXDB, once: 13 minutes of one core" \
      nice go build -v -trimpath -tags sqlite_foreign_keys,sqlite_json -o influxd \
      github.com/influxdata/influxdb/v2/cmd/influxd
    sha256sum influxd >influxd.sha256
    rm -rf pkg-config go.mod go.sum
  )
  [[ -s $scratch/influxd.sha256 ]] || fail "InfluxDB $INFLUXDB was not built, see $log"
  mv "$scratch" "$built"
}

# One process builds; others wait for it and find it built.
build_native() {
  need_native_tools
  mkdir -p "$CACHE"
  exec 9>"$CACHE/lock"
  flock --nonblock 9 || { say "waiting for another ./services that fetches or builds" && flock 9; }
  have_kafka
  have_influxdb
  exec 9>&-
}
