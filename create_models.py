"""Train the classifier, RefAE and every ClaDec of each dataset and layer.

    python create_models.py                      MNIST and Fashion-MNIST
    python create_models.py --datasets digits    the embedded digits, minutes
    python create_models.py --layers dense --alphas 0 0.5 0.99

The same command goes on after a stop: what is trained already is skipped.

Then measure the models with eval.py.
"""

from cladec.commands.main import create_models

if __name__ == "__main__":
    create_models(__doc__)
