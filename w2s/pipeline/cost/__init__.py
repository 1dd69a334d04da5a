"""What an experiment would cost, told before anything is fetched or trained."""
