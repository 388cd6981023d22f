# The bases are pinned to exact tags. To pin their bytes as well, put the digest behind the tag that this prints:
#
#   docker buildx imagetools inspect golang:1.26.8 --format '{{.Manifest.Digest}}'
#
# so that the line says golang:1.26.8@sha256:… . The other stage starts from nothing: scratch has no bytes to pin.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v1.2.3 --build-arg REVISION="$(git rev-parse HEAD)" .
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
# With .git, from which the Go command takes the version. Only what the build needs is downloaded.
COPY . .
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=auto -ldflags="-s -w" -o /out/spotify-exporter ./cmd/spotify-exporter
# Folders that volumes take their owner from: journal and logins, what setup hands over, what it keeps.
RUN mkdir -p /out/folders/data /out/folders/run/spotify /out/folders/setup /out/folders/tmp && \
    chmod 0700 /out/folders/data /out/folders/setup && chmod 1777 /out/folders/tmp

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
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/spotify-exporter /usr/bin/
COPY --from=build --chown=65532:65532 /out/folders/ /
ENV PATH=/usr/bin DATA_DIR=/data
VOLUME ["/data"]
EXPOSE 10178
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["/usr/bin/spotify-exporter", "health"]
ENTRYPOINT ["/usr/bin/spotify-exporter"]
CMD ["run"]
