"""Train the classifier, RefAE and every ClaDec of each dataset and layer.

    python create_models.py                         MNIST and Fashion-MNIST, every alpha
    python create_models.py --datasets digits       the embedded digits, a few minutes
    python create_models.py --datasets fashion_mnist --layers dense --alphas 0 0.5 0.99

Models that are already trained with the same settings are skipped, so the same command continues
after a stop. Then measure the models with eval.py.
"""

from cladec.commands.main import create_models

if __name__ == "__main__":
    create_models(__doc__)
