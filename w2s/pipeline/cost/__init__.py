"""What an experiment would cost, estimated before anything is fetched or trained."""
