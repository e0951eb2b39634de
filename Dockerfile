# One file for every role: the argument chooses which extras are installed, so that the web role carries no torch.
#   docker build --build-arg EXTRAS=ingestion .
FROM python:3.11-slim-bookworm

ARG EXTRAS=standalone
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE COMICS_HOME=/data

# libgl and glib: OpenCV inside RapidOCR links them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 comics \
    && mkdir /data && chown comics /data

WORKDIR /app
COPY pyproject.toml requirements.lock package.json package-lock.json README.md ./
COPY shared shared
COPY services services
COPY migrations migrations
# hadolint ignore=DL3013
# The browser interface brings npm and serves two JavaScript libraries; no other role has either.
RUN pip install --no-cache-dir --constraint requirements.lock --editable ".[${EXTRAS}]" \
    && if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund; fi

USER 10001
VOLUME /data
EXPOSE 8000
CMD ["comics", "--help"]
