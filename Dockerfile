# An image with the runtime and one artifact. The first stage builds Linnet and compiles the model.
#   docker build --build-arg MODEL=models/linnet-stories -t stories .
#   docker run --rm -p 127.0.0.1:8080:8080 stories
# scripts/check-dockerfile runs these lines without Docker.
FROM debian:12 AS build
COPY . /source
WORKDIR /source
RUN scripts/install-packages
RUN LINNET_TESTS=OFF scripts/build release linnet linnet-opt linnet_compiler linnet_manual
RUN cpack --config build/release/CPackConfig.cmake -G DEB -B /packages
ARG MODEL=models/linnet-stories
ARG OPTIONS="--max-batch 8"
RUN PATH=build/release/bin:$PATH linnet compile "$MODEL" $OPTIONS -o /model.linnet

FROM debian:12-slim
COPY --from=build /packages/linnet-runtime_*.deb /packages/
RUN apt-get update && apt-get install -y --no-install-recommends /packages/linnet-runtime_*.deb \
  && rm -rf /packages /var/lib/apt/lists/*
COPY --from=build /model.linnet /model.linnet
USER nobody
EXPOSE 8080
ENTRYPOINT ["linnet"]
CMD ["serve", "/model.linnet", "--host", "0.0.0.0"]
