# shellcheck shell=bash
# What ./services --tls has besides: one more listener of Kafka and one more InfluxDB, both with TLS, a CA that nobody
# else knows, users, and an authorizer.

# SCRAM-SHA-512 and PLAIN. Neither may do anything until a test grants it; whoever comes without TLS may do everything.
SCRAM_USER=scram
PLAIN_USER=plain

# Sets TLS, and SERVERS with it.
use_tls() {
  TLS=$1
  SERVERS="kafka influxdb"
  [[ $TLS == no ]] || SERVERS+=" influxdb_tls"
}

# In $FOLDER/tls: ca.crt, other-ca.crt, which has signed nothing, and server.crt and server.key, made out to localhost
# and to no address. They go with the instance.
make_certificates() {
  need_tool openssl "making certificates" "on Debian: apt-get install openssl"
  mkdir -p "$FOLDER/tls"
  (cd "$FOLDER/tls" && certificates) >"$FOLDER/certificates.log" 2>&1 ||
    fail "the certificates could not be made, see $FOLDER/certificates.log"
}

# Each command with its own check: whoever calls this looks at the end only, and then `set -e` does not hold.
certificates() {
  openssl_config >openssl.cnf || return
  local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config openssl.cnf) ca
  for ca in ca other-ca; do
    openssl req -x509 "${key[@]}" -days 365 -subj "/CN=$ca of tests" -keyout $ca.key -out $ca.crt || return
  done
  openssl req -new "${key[@]}" -subj /CN=server -keyout server.key -out server.csr &&
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 \
      -extfile openssl.cnf -extensions server -out server.crt &&
    # As Kafka takes it.
    cat server.key server.crt >server.pem
}

# A file of its own: what a system's says differs from one to the next.
openssl_config() {
  cat <<'CONFIG'
[req]
distinguished_name = name
x509_extensions = ca
prompt = no
[name]
CN = tests
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost
CONFIG
}

# Whoever comes without TLS, the controller too, is ANONYMOUS.
kafka_tls_properties() {
  local security=org.apache.kafka.common.security
  cat <<PROPERTIES
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location=$FOLDER/tls/server.pem
listener.name.tls.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.tls.scram-sha-512.sasl.jaas.config=$security.scram.ScramLoginModule required;
listener.name.tls.plain.sasl.jaas.config=$security.plain.PlainLoginModule required user_$PLAIN_USER="$PASSWORD";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
PROPERTIES
}

spawn_influxdb_tls() {
  spawn_influxd influxdb_tls "$INFLUX_TLS_PORT" --tls-cert "$FOLDER/tls/server.crt" --tls-key "$FOLDER/tls/server.key"
}

influxdb_tls_is_healthy() { [[ $(ask_influxdb influxdb_tls GET /health) == HTTP/1.?\ 200* ]]; }

# over_tls PORT REQUEST: the answer, of a server whose certificate is checked.
over_tls() {
  printf '%s' "$2" | timeout 20 openssl s_client -quiet -verify_return_error -verify_hostname localhost \
    -CAfile "$FOLDER/tls/ca.crt" -servername localhost -connect "127.0.0.1:$1"
}

# What tests are told.
tls_test_environment() {
  printf '%s\n' "FLAGMETER_TEST_TLS_KAFKA=localhost:$KAFKA_TLS_PORT" \
    "FLAGMETER_TEST_TLS_INFLUX_URL=https://localhost:$INFLUX_TLS_PORT" "FLAGMETER_TEST_TLS_FOLDER=$FOLDER/tls" \
    "FLAGMETER_TEST_TLS_SCRAM=$SCRAM_USER:$PASSWORD" "FLAGMETER_TEST_TLS_PLAIN=$PLAIN_USER:$PASSWORD"
}
