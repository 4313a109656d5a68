FROM python:3.11-slim

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
# What the service writes lies in folders of its own that it owns, so that each can be a volume (a new named volume takes
# the owner and the mode of the folder that it covers); everything else of the image may be read-only.
RUN groupadd --system --gid 10001 policy_engine \
    && useradd --system --uid 10001 --gid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin policy_engine \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/policy-engine /var/lib/policy-engine/database \
        /var/lib/policy-engine/ledger /var/lib/policy-engine/witness /var/lib/policy-engine/key
WORKDIR /app

COPY requirements/build.txt requirements/runtime.txt requirements/
RUN pip install --require-hashes -r requirements/build.txt -r requirements/runtime.txt

# Editable, so that policies/ and migrations/ lie where they do in a checkout; the files belong to root.
COPY LICENSE pyproject.toml ./
COPY requirements/runtime.in requirements/
COPY policy_engine policy_engine
COPY migrations migrations
COPY policies policies
RUN pip install --no-deps --no-build-isolation -e .

USER 10001
ENV POLICY_ENGINE_HOST=0.0.0.0 POLICY_ENGINE_PORT=8181 \
    POLICY_ENGINE_DATABASE_URL=sqlite:////var/lib/policy-engine/database/policy-engine.db \
    POLICY_ENGINE_LEDGER=/var/lib/policy-engine/ledger \
    POLICY_ENGINE_WITNESS=/var/lib/policy-engine/witness \
    POLICY_ENGINE_LOG_KEY=/var/lib/policy-engine/key/log.key
EXPOSE 8181
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8181/readyz', timeout=2)"]
ENTRYPOINT ["policy-engine"]
CMD ["serve"]
