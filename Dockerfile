# syntax=docker/dockerfile:1
# Every command of flagmeter in one image: docker-compose.yml starts the stages from it, and alone it serves all of
# them in one process, with its data in /data.
FROM node:24-bookworm-slim AS page
WORKDIR /page
COPY queries/ui/package.json queries/ui/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY queries/ui .
RUN npm run build -- --outDir /out/page --emptyOutDir

FROM rust:1.95-slim-bookworm AS build
# librdkafka is built from its source: it wants a C and a C++ compiler, and make.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean \
    && apt-get update \
    && apt-get install --yes --no-install-recommends g++ make
WORKDIR /flagmeter
COPY . .
COPY --from=page /out/page /page
# Crates and what was compiled stay in the builder's cache: a change compiles what it changes.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/flagmeter/target,sharing=locked \
    FLAGMETER_UI=/page cargo build --release --locked --package flagmeter --features kafka \
    && install -D target/release/flagmeter /out/flagmeter \
    && strip --strip-debug /out/flagmeter

FROM debian:bookworm-slim
RUN useradd --uid 10001 --user-group --home-dir /data --no-create-home flagmeter \
    && install --directory --owner flagmeter --group flagmeter /data
COPY --from=build /out/flagmeter /usr/local/bin/flagmeter
USER flagmeter
WORKDIR /data
ENV FLAGMETER_DATA_PATH=/data \
    FLAGMETER_LISTEN_HTTP=0.0.0.0:8080 \
    FLAGMETER_LISTEN_METRICS=0.0.0.0:9464
EXPOSE 8080 9464
# Ready means connected and at work. bash speaks enough HTTP for the question, and the image needs no other client.
HEALTHCHECK --interval=10s --timeout=5s --retries=3 --start-period=120s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${FLAGMETER_LISTEN_METRICS##*:} && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [[ $status == 200 ]]"]
ENTRYPOINT ["flagmeter"]
CMD ["serve"]
