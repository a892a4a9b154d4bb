# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /scrip
ENV SQLX_OFFLINE=true CARGO_TERM_COLOR=never

# The dependencies, in a layer that changes only with Cargo.toml and Cargo.lock. (ring compiles C; the image has gcc.)
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked --lib --bin scrip \
    && rm -rf src target/release/.fingerprint/scrip-*

COPY . .
RUN cargo build --release --locked --bin scrip && strip target/release/scrip

# glibc, libgcc, CA certificates and a user without rights; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="scrip" \
      org.opencontainers.image.description="A multi-tenant credit ledger that companies run beside their product" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /scrip/target/release/scrip /usr/local/bin/scrip
ENV SCRIP_LISTEN=0.0.0.0:8080
EXPOSE 8080
# Needs DATABASE_URL, SCRIP_OPERATOR_KEY and SCRIP_ENCRYPTION_KEY: there is no Postgres in this image.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/usr/local/bin/scrip", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/scrip"]
CMD ["serve"]
