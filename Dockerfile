# The image of every stage on a cluster: `cpu` (the default) and `gpu`, which adds NVIDIA's libraries.
# TFX 1.21 on Python 3.13, from the same pins as the tests. Sizes and reasons: docs/kubeflow.md.
#
#   docker build --target cpu --tag registry/tfx-gan:1 .
#   docker build --target gpu --tag registry/tfx-gan:1-gpu .
ARG BASE=debian:trixie-slim

FROM ${BASE} AS python
ENV LANG=C.UTF-8 \
    PATH=/opt/tfx-gan/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# The home of any user: some clusters choose the number themselves.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && install --directory --mode=1777 /home/tfx-gan
ENV HOME=/home/tfx-gan

# What is needed to run, without extras. A stage of its own, so that only an edit of this list, and
# no other of pyproject.toml, makes the packages anew.
FROM python AS needed
COPY pyproject.toml /
RUN python3 -c "import json, tomllib; project = tomllib.load(open('/pyproject.toml', 'rb'))['project']; \
print('[project]', 'name = \"needed\"', 'version = \"0\"', sep='\\n'); \
print('dependencies =', json.dumps(project['dependencies']))" > /needed.toml

FROM python AS build
# pyfarmhash comes as source only.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ python3-dev python3-venv
ARG UV_VERSION=0.13.9
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir "uv==$UV_VERSION"
# Bytecode, as the stage's user cannot write any. It counts whatever the time of the source, which
# not every builder keeps. The system's certificates, with those that a company adds to BASE.
ENV UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    VIRTUAL_ENV=/opt/tfx-gan
WORKDIR /src
COPY requirements.txt ./
COPY --from=needed /needed.toml ./pyproject.toml
# In the versions and with the hashes of requirements.txt. TensorFlow's headers, for those who build
# operations, are 430 MB.
RUN /opt/uv/bin/uv venv --python /usr/bin/python3 "$VIRTUAL_ENV" \
    && /opt/uv/bin/uv pip install --require-hashes --constraints requirements.txt -r pyproject.toml \
    && rm -r "$VIRTUAL_ENV"/lib/python3*/site-packages/tensorflow/include

FROM build AS code
COPY pyproject.toml README.md LICENSE ./
COPY components components
COPY pipeline pipeline
RUN /opt/uv/bin/uv pip install --no-deps --no-build-isolation --prefix /code .

FROM python AS packages
COPY --from=build /opt/tfx-gan /opt/tfx-gan

# Above the packages, which both images share, and below the code, which changes most often.
FROM packages AS packages-gpu
RUN --mount=type=bind,from=build,source=/opt/uv,target=/opt/uv \
    --mount=type=bind,source=deploy/image/gpu.txt,target=/opt/gpu.txt \
    UV_COMPILE_BYTECODE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH UV_LINK_MODE=copy UV_NO_CACHE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    /opt/uv/bin/uv pip install --python /opt/tfx-gan --no-deps --require-hashes -r /opt/gpu.txt

FROM packages-gpu AS gpu
COPY --from=code /code /opt/tfx-gan
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /home/tfx-gan
USER 1000:1000
ENTRYPOINT ["tfx-gan"]
CMD ["--help"]

FROM packages AS cpu
COPY --from=code /code /opt/tfx-gan
WORKDIR /home/tfx-gan
USER 1000:1000
ENTRYPOINT ["tfx-gan"]
CMD ["--help"]
