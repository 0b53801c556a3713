"""`python -m demo.train`: teach the small CLIP on freshly drawn scenes, and keep the weights that the demo ships."""

import argparse
import json
import logging
import math
import os
import time
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from demo.captions import caption, muffled
from demo.clip import IMAGE_PIXELS, MEAN, MODEL_DIR, MODEL_NAME, STD, VISION_WIDTH, new_model, new_tokenizer, save
from demo.pool import ScenePool, open_pool
from demo.relevance import claim_codes, scene_codes, truth
from demo.scenes import Stream

if TYPE_CHECKING:
    import torch
    from transformers import CLIPModel, CLIPTokenizer

log = logging.getLogger("demo.train")
MAX_LOGIT_SCALE = math.log(40.0)
LOG_STEPS = 50


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, apart from the code and the order in which a processor adds numbers."""

    seed: int = 20_26
    steps: int = 1500
    warmup_steps: int = 200
    batch_scenes: int = 128
    captions_per_scene: int = 2
    muffled_share: float = 0.06
    pool_scenes: int = 8192
    steps_per_fresh_chunk: int = 6
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    fact_weight: float = 0.4
    patch_weight: float = 1.0
    averaging: float = 0.999

    def rate(self, step: int) -> float:
        """The learning rate: a linear warm-up, then half a cosine down to almost nothing."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


class Trainer:
    """One run: the model that learns, its slow average that is kept, and the optimiser."""

    def __init__(self, recipe: Recipe, tokenizer: "CLIPTokenizer", pool: ScenePool) -> None:
        import torch

        from demo.losses import FactHeads, PatchHeads

        torch.manual_seed(recipe.seed)
        self.recipe, self.tokenizer, self.pool = recipe, tokenizer, pool
        self.model: CLIPModel = new_model(tokenizer)
        # The fused attention's backward pass took 39 % of a step on this many short sequences; plain matrix products take 9 %.
        self.model.set_attn_implementation("eager")
        self.facts = FactHeads(VISION_WIDTH)
        self.average: CLIPModel = deepcopy(self.model)
        self.patches = PatchHeads(VISION_WIDTH)
        self._optimizers = self._new_optimizers()
        self._random = Random(f"batches {recipe.seed}")

    def _new_optimizers(self) -> list["torch.optim.Optimizer"]:
        """Muon for the matrices inside the towers (Jordan et al., 2024), AdamW for everything else."""
        from torch.optim import AdamW, Muon

        named = dict(self.model.named_parameters())
        matrices = [p for name, p in named.items() if ".layers." in name and p.ndim == 2]
        inside = {id(p) for p in matrices}
        rest = [p for p in (*named.values(), *self.facts.parameters(), *self.patches.parameters()) if id(p) not in inside]
        self._parameters = [*matrices, *rest]
        decay, rate = self.recipe.weight_decay, self.recipe.learning_rate
        groups = [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return [
            Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True),
        ]

    def step(self, number: int) -> dict[str, float]:
        """Learn from one batch; the figures of that batch."""
        import torch

        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.rate(number)
            optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, figures = self._loss()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
        self._remember(number)
        return {**figures, "norm": float(norm), "scale": float(self.model.logit_scale.detach().exp())}

    def _loss(self) -> tuple["torch.Tensor", dict[str, float]]:
        import torch

        from demo.losses import contrast, image_vectors, text_vectors

        chosen = self._random.sample(range(len(self.pool.scenes)), self.recipe.batch_scenes)
        scenes = [self.pool.scenes[i] for i in chosen]
        assert all(scene.seed % 2 == Stream.TRAINING for scene in scenes)
        captions = [caption(scene, self._random) for scene in scenes for _ in range(self.recipe.captions_per_scene)]
        tokens = self.tokenizer([self._heard(c.text) for c in captions], padding=True, truncation=True, return_tensors="pt")
        codes = scene_codes(scenes)
        true = torch.from_numpy(truth(claim_codes([c.claim for c in captions]), codes))

        mirrored = torch.tensor([self._random.random() < 0.5 for _ in chosen])
        states, pooled, pictures = image_vectors(self.model, self._pixels(chosen, mirrored))
        texts = text_vectors(self.model, tokens["input_ids"], tokens["attention_mask"])
        scores = self.model.logit_scale.exp() * texts @ pictures.T
        contrastive = (contrast(scores.float(), true) + contrast(scores.float().T, true.T)) / 2
        factual = self.facts(pooled, codes)
        local = self.patches(states, self._labels(chosen, mirrored))
        figures = {"contrast": float(contrastive.detach()), "facts": float(factual.detach()), "patches": float(local.detach())}
        return contrastive + self.recipe.fact_weight * factual + self.recipe.patch_weight * local, figures

    def _heard(self, text: str) -> str:
        return muffled(text, self._random) if self._random.random() < self.recipe.muffled_share else text

    def _labels(self, chosen: list[int], mirrored: "torch.Tensor") -> "torch.Tensor":
        import torch

        labels = torch.from_numpy(self.pool.labels[chosen])
        labels[mirrored] = labels[mirrored].flip(-1)
        return labels.flatten(2)

    def _pixels(self, chosen: list[int], mirrored: "torch.Tensor") -> "torch.Tensor":
        """The chosen pictures as the image processor would give them, some of them mirrored."""
        import torch

        pixels = torch.from_numpy(self.pool.pictures[chosen]).permute(0, 3, 1, 2).float().div_(255)
        pixels[mirrored] = pixels[mirrored].flip(-1)
        return pixels.sub_(MEAN).div_(STD)

    def _remember(self, number: int) -> None:
        import torch

        share = min(self.recipe.averaging, (number + 1) / (number + 20))
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - share)


def train(recipe: Recipe, folder: Path, checkpoint_steps: int) -> None:
    """Run `recipe` from nothing, writing the averaged model to `folder` every `checkpoint_steps` and at the end."""
    tokenizer, started = new_tokenizer(), time.monotonic()
    history: list[dict[str, float]] = []
    with open_pool(recipe.seed, recipe.pool_scenes, IMAGE_PIXELS) as pool:
        trainer = Trainer(recipe, tokenizer, pool)
        for number in range(recipe.steps):
            figures = trainer.step(number)
            if number % recipe.steps_per_fresh_chunk == 0:
                pool.refresh()
            if number % LOG_STEPS == 0 or number + 1 == recipe.steps:
                seconds = round(time.monotonic() - started)
                history.append({"step": number, "s": seconds, **{name: round(value, 4) for name, value in figures.items()}})
                log.info(json.dumps(history[-1]))
            if (number + 1) % checkpoint_steps == 0 or number + 1 == recipe.steps:
                _keep(trainer, folder, {"steps_done": number + 1, "minutes": round((time.monotonic() - started) / 60, 1)}, history)


def _keep(trainer: Trainer, folder: Path, progress: dict[str, float], history: list[dict[str, float]]) -> None:
    """Write the averaged model, how it came about, and the losses on the way."""
    import torch

    save(trainer.average, trainer.tokenizer, folder)
    about = {
        "name": MODEL_NAME,
        "command": "python -m demo.train",
        "recipe": asdict(trainer.recipe),
        "torch": torch.__version__,
        "cpu_threads": torch.get_num_threads(),
        "progress": progress,
    }
    (folder / "training.json").write_text(json.dumps(about, indent=2) + "\n")
    (folder / "training-log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m demo.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=MODEL_DIR, help="where the model is written (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="length of the run (default: %(default)s)")
    parser.add_argument("--checkpoint-steps", type=int, default=250, help="how often to write it (default: %(default)s)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    train(Recipe(steps=options.steps), options.out, options.checkpoint_steps)


if __name__ == "__main__":
    main()
