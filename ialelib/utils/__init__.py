"""Small tools that know nothing of active learning."""
