# heliodock as an image. Out of the box it controls an emulated demonstration station; mount your own site file over
# /etc/heliodock/site.yaml. Only /data (the store) and /tmp are written, so the root may be read-only: docs/deploy.md.
#
# The base is pinned by tag. A digest would pin it harder, but none could be looked up where this was written.

# ---------------------------------------------------------------------------------------- everything that is installed
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# Two environments without pip: one is shipped; the other has setuptools and wheel, as locked, to build the wheel.
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv --without-pip /opt/heliodock && python -m venv --without-pip /tmp/tools \
    && pip --python /opt/heliodock/bin/python install -q --no-compile --only-binary :all: \
        --no-deps --require-hashes -r requirements.lock \
    && awk '/^[^ #]/ {wanted = /^(setuptools|wheel)==/} wanted' requirements-dev.lock > tools.lock \
    && pip --python /tmp/tools/bin/python install -q --no-deps --require-hashes -r tools.lock

COPY . .
RUN pip --python /tmp/tools/bin/python wheel -q --no-deps --no-build-isolation -w /tmp/wheel . \
    && pip --python /opt/heliodock/bin/python install -q --no-compile --no-deps /tmp/wheel/*.whl \
    # what is never read at run time: test suites, solvers of other systems, tables of PV modules and turbidity (the
    # forecast needs none; the plan that is made below would fail if it did)
    && cd /opt/heliodock/lib/python3.11/site-packages \
    && find numpy scipy pandas matplotlib -type d -name tests -prune -exec rm -rf {} + \
    && rm -rf pulp/solverdir/cbc/osx pulp/solverdir/cbc/win pulp/solverdir/cbc/linux/i32 pvlib/data \
    # nothing can be compiled on a read-only root; the caches are never checked against the sources again
    && python -m compileall -qq -j 0 --invalidation-mode unchecked-hash /opt/heliodock/lib

# ---------------------------------------------------------------------------------------------------- what is shipped
FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="heliodock" \
      org.opencontainers.image.description="Controller for stations that join PV, storage and EV charging" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN echo 'heliodock:x:10001:10001:heliodock:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'heliodock:x:10001:' >> /etc/group \
    && install -d -o 10001 -g 10001 -m 0750 /data
COPY --from=build /opt/heliodock /opt/heliodock
COPY configs/stations/demo.yaml /etc/heliodock/site.yaml
ENV PATH=/opt/heliodock/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib MPLBACKEND=Agg \
    PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1
# The official base ships its standard library uncompiled: this compiles what is used, and proves that the image works.
RUN heliodock check /etc/heliodock/site.yaml > /dev/null && heliodock plan /etc/heliodock/site.yaml > /dev/null \
    && heliodock run --help > /dev/null \
    && python -c 'import cli.live, cli.serve, controller.app, controller.notify, northbound.reader, hil.serve' \
    && rm -rf /tmp/*
ENV PYTHONDONTWRITEBYTECODE=1

USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["heliodock", "health", "/etc/heliodock/site.yaml", "--store", "/data/store"]
ENTRYPOINT ["heliodock"]
CMD ["run", "/etc/heliodock/site.yaml", "--emulated", "--store", "/data/store", "--no-live"]
