"""The reference application on tf_diffaug: flags, recipes, and what the scripts are made of."""
