# shellcheck shell=bash
# What can be shown of docker-compose.yml without an engine.

# Compose's own opinion of a file, with secrets that nobody has.
compose_config() {
  INFLUX_PASSWORD=secret-password INFLUX_TOKEN=secret-token GRAFANA_PASSWORD=secret-password \
    docker-compose --project-directory . --env-file /dev/null --file "$compose_file" config "$@"
}

# It must be right, hold no secret, and a check that lets a mistake pass shows nothing: so mistakes are made.
check_compose_file() {
  local compose_file=docker-compose.yml broken mistake services whole
  whole=$(compose_config)
  if grep -n 'secret-' <<<"$whole"; then
    printf 'docker-compose.yml puts a secret where everyone reads it: give it to the service as a file, under secrets\n'
    return 1
  fi
  broken=$(mktemp)
  for mistake in 's/healthcheck:/healtcheck:/' 's/condition: service_healthy/condition: healthy/' 's/topic: {/topics: {/'; do
    sed "$mistake" docker-compose.yml >"$broken"
    if compose_file=$broken compose_config --quiet 2>/dev/null; then
      printf 'docker-compose took a broken file (%s): this check shows nothing\n' "$mistake"
      rm "$broken"
      return 1
    fi
  done
  rm "$broken"
  services=$(compose_config --services | wc -l)
  printf 'docker-compose.yml: %s services, and three mistakes were refused\n' "$services"
}

# What .dockerignore lets through must be a whole workspace: a crate that it does not know ends every build of the image.
check_image_context() (
  context=$(mktemp -d)
  trap 'rm -rf "$context"' EXIT
  sed -n 's/^!//p' .dockerignore | xargs git ls-files -z -- | xargs --null cp --parents --target-directory "$context"
  cd "$context" || return 1
  is_whole() { cargo metadata --locked --offline --no-deps --format-version 1 >/dev/null; }
  is_whole || return 1
  rm -r model
  if is_whole 2>/dev/null; then
    printf 'cargo took a workspace without one of its crates: this check shows nothing\n'
    return 1
  fi
  printf '.dockerignore lets a whole workspace through\n'
)

# What ./services builds without Docker must be what it starts with it.
check_versions() (
  # shellcheck source=tests/servers/build.sh
  source tests/servers/build.sh
  for image in "apache/kafka:$KAFKA" "influxdb:$INFLUXDB"; do
    grep -qxF "    image: $image" docker-compose.yml || {
      printf 'docker-compose.yml has no %s, which is what tests/servers/build.sh builds\n' "$image"
      return 1
    }
  done
)
