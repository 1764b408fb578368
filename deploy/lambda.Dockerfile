# A Lambda function that answers by a bundle: docker build --build-arg BUNDLE=bundle -f deploy/lambda.Dockerfile .
# What it was verified by: docs/production.md.
FROM public.ecr.aws/lambda/python:3.11
ARG BUNDLE=bundle
ARG EXTRAS=boosting,classical,networks
WORKDIR ${LAMBDA_TASK_ROOT}
COPY pyproject.toml setup.py README.md requirements.lock ./
COPY conf conf
COPY hwds hwds
RUN pip install --no-cache-dir --constraint requirements.lock ".[serve,${EXTRAS}]"
ENV HWDS_BUNDLE=/var/task/bundle HWDS_TRUSTED_KEYS=/var/task/trusted.pub NUMBA_CACHE_DIR=/tmp/numba OMP_NUM_THREADS=1
COPY trusted.pub trusted.pub
COPY ${BUNDLE} bundle
CMD ["hwds.serve.runtime.handler"]
