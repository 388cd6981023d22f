# The bases are pinned to exact tags. To pin their bytes as well, put the digest behind the tag that this prints:
#
#   docker buildx imagetools inspect golang:1.26.8 --format '{{.Manifest.Digest}}'
#
# so that the line says golang:1.26.8@sha256:… . The other stage starts from nothing: scratch has no bytes to pin.
#
# `make release` builds the same image without Docker: deploy/release carries out this file.
#
#   docker buildx build --platform linux/amd64,linux/arm64,linux/arm/v7 --build-arg VERSION=v1.2.3 --build-arg REVISION="$(git rev-parse HEAD)" .
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
# With .git, from which the Go command takes the version. Only what the build needs is downloaded.
COPY . .
ARG TARGETOS TARGETARCH TARGETVARIANT
# The program, and beside it the licences of what is in it and the certificates of Mozilla.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} \
    go build -trimpath -buildvcs=auto -ldflags="-s -w" -o /out/root/usr/bin/ ./cmd/spotify-exporter && \
    go run ./deploy/image /out/root/
# Volumes take owner and mode from these folders of the image: /data has journal and logins; in the others setup, whose
# user is 65531, leaves the tokens of the exporter (group 65532), those of Grafana (group 472), and its own.
RUN mkdir -p /out/exporter/data /out/exporter/tmp /out/tokens/run/spotify /out/grafana/run/grafana /out/operator/setup && \
    chmod 0700 /out/exporter/data /out/operator/setup && chmod 1777 /out/exporter/tmp && \
    chmod 0750 /out/tokens/run/spotify /out/grafana/run/grafana

FROM scratch
ARG VERSION=unknown REVISION=unknown
LABEL org.opencontainers.image.title="spotify-exporter" \
      org.opencontainers.image.description="Records every listen of a Spotify account once, for InfluxDB, Prometheus and Grafana" \
      org.opencontainers.image.url="https://github.com/spotify-exporter/spotify-exporter" \
      org.opencontainers.image.source="https://github.com/spotify-exporter/spotify-exporter" \
      org.opencontainers.image.documentation="https://github.com/spotify-exporter/spotify-exporter#readme" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/root/ /
COPY --from=build --chown=65532:65532 /out/exporter/ /
COPY --from=build --chown=65531:65532 /out/tokens/ /
COPY --from=build --chown=65531:472 /out/grafana/ /
COPY --from=build --chown=65531:65531 /out/operator/ /
ENV PATH=/usr/bin DATA_DIR=/data WEB_LISTEN_ADDRESS=:10178
VOLUME ["/data"]
EXPOSE 10178
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["/usr/bin/spotify-exporter", "health"]
ENTRYPOINT ["/usr/bin/spotify-exporter"]
CMD ["run"]
