FROM python:3.11-slim

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin policy_engine
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
ENV POLICY_ENGINE_HOST=0.0.0.0 POLICY_ENGINE_PORT=8181
EXPOSE 8181
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8181/readyz', timeout=2)"]
ENTRYPOINT ["policy-engine"]
CMD ["serve"]
