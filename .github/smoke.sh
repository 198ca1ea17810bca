#!/bin/sh
# What is installed trains, measures and explains, in a folder of its own.
set -eux
cd "$(mktemp -d)"
cladec --version
cladec train --datasets digits --layers dense --alphas 0 --epochs 1 --out models
cladec evaluate --models models --out measures
cladec layers --model models/digits/vgg/classifier.keras
python - << 'END'
import cladec
import numpy as np
from PIL import Image

image = cladec.load("digits").test.images[0, :, :, 0]
Image.fromarray((255 * image).astype(np.uint8)).save("digit.png")
END
cladec explain --model models/digits/vgg/classifier.keras --images digit.png --out explanations
