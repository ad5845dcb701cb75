# The pair and Meltano, for `docker run --env-file .env shopify-posthog`: one run of `meltano run sync`, whose exit code says how it went.
# Pin the base to what you have looked at: --build-arg PYTHON=python:3.13-slim-bookworm@sha256:...
ARG PYTHON=python:3.13-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/pair
ENV PATH=/opt/pair/bin:$PATH
WORKDIR /build
# The context has no tags to take the version from: --build-arg VERSION=1.2.3.
ARG VERSION=0.9.0.dev0
ENV SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION
COPY orchestrate/requirements-image.txt .
RUN pip install --require-hashes --no-deps --requirement requirements-image.txt
COPY . .
RUN pip install --no-deps --no-build-isolation .
# Your shop.meltano.yml if the checkout has one, else the example's; every user may read it, however strict your umask is.
RUN { [ -e shop.meltano.yml ] || cp shop.meltano.example.yml shop.meltano.yml; } && chmod -R a+rX meltano.yml shop.meltano.yml plugins

FROM ${PYTHON}
COPY --from=build /opt/pair /opt/pair
WORKDIR /project
COPY --from=build /build/meltano.yml /build/shop.meltano.yml ./
COPY --from=build /build/plugins plugins
# Nothing is written here: the state goes to the backend, the receipts to a PostgreSQL (TARGET_POSTHOG_RECEIPTS), what a run
# needs for itself to /tmp.
ENV PATH=/opt/pair/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    MELTANO_ENVIRONMENT=prod \
    MELTANO_SYS_DIR_ROOT=/tmp/meltano \
    MELTANO_CLI_DISABLE_VERSION_CHECK=true \
    MELTANO_CLI_LOG_FORMAT=uncolored \
    TARGET_POSTHOG_RECEIPTS=
USER 10001:10001
# A run ends by itself: its exit code is its health.
HEALTHCHECK NONE
ENTRYPOINT ["meltano"]
CMD ["run", "sync"]
