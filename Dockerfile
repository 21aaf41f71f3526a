# The image of Postrider: docker build -t postrider .
# How to run it, alone or with PostgreSQL and a proxy: docs/deploy.md

ARG PYTHON=3.11.15

# What is built here is installed the same way, by the same script, in the tests: scripts/clean_install.sh reads these
# COPY lines. Each file keeps its place.
FROM python:${PYTHON}-slim-bookworm AS build
COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
COPY deploy/install.sh deploy/build.lock deploy/runtime.lock deploy/healthcheck.py /source/deploy/
RUN sh /source/deploy/install.sh /source /opt/postrider

FROM python:${PYTHON}-slim-bookworm
# A registry of MCP servers believes server.json only if the image names the same server.
LABEL io.modelcontextprotocol.server.name="io.github.postrider/postrider" \
      org.opencontainers.image.title="Postrider" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin postrider \
 && install --directory --owner=postrider --group=postrider --mode=0700 /data
COPY --from=build /opt/postrider /opt/postrider

ENV PATH=/opt/postrider/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    POSTRIDER_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8025

# The first signal asks the server to stop: it takes no new work and finishes what is under way, up to 30 seconds.
# Docker itself waits 10 seconds: docker stop --timeout 45.
STOPSIGNAL SIGTERM
# Well is what is ready for its work: the database answers at the right revision, and the engine is alive.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "/opt/postrider/healthcheck.py"]
ENTRYPOINT ["postrider"]
CMD ["serve", "--host", "0.0.0.0"]
