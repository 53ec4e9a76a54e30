"""The families of transformers, small and with random weights."""

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(self, x, mask=None):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5
        if mask is not None:
            scores = scores + mask
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, c, heads, first_norm=True):
        super().__init__()
        self.n1, self.n2, self.first_norm = nn.LayerNorm(c), nn.LayerNorm(c), first_norm
        self.attention, self.up, self.down = (
            Attention(c, heads),
            nn.Linear(c, 4 * c),
            nn.Linear(4 * c, c),
        )

    def feed(self, x):
        return self.down(F.gelu(self.up(x)))

    def forward(self, x, mask=None):
        if self.first_norm:
            x = x + self.attention(self.n1(x), mask)
            return x + self.feed(self.n2(x))
        x = self.n1(x + self.attention(x, mask))
        return self.n2(x + self.feed(x))


class ViT(nn.Module):
    def __init__(self, c=64):
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, c, 8, 8), nn.Parameter(torch.randn(1, 1, c))
        self.position = nn.Parameter(torch.randn(1, 17, c))
        self.blocks = nn.ModuleList(Block(c, 4) for _ in range(4))
        self.norm, self.head = nn.LayerNorm(c), nn.Linear(c, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Swin(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.patch, self.blocks = (
            nn.Conv2d(3, c, 4, 4),
            nn.ModuleList(Block(c, 4) for _ in range(4)),
        )
        self.norm, self.head = nn.LayerNorm(c), nn.Linear(c, 10)
        ids = torch.arange(8).div(4, rounding_mode="floor").roll(-2)
        window = (ids[:, None] * 2 + ids).reshape(2, 4, 2, 4).transpose(1, 2).reshape(4, 1, 16)
        shifted = torch.where(window != window.transpose(1, 2), -100.0, 0.0)
        self.register_buffer("mask", shifted[None, :, None])

    def windows(self, block, x, mask):
        b, _, _, c = x.shape
        x = x.reshape(b, 2, 4, 2, 4, c).transpose(2, 3).reshape(b * 4, 16, c)
        if mask is not None:
            mask = mask.expand(b, -1, -1, -1, -1).reshape(b * 4, 1, 16, 16)
        x = block(x, mask).reshape(b, 2, 2, 4, 4, c).transpose(2, 3)
        return x.reshape(b, 8, 8, c)

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        for i, block in enumerate(self.blocks):
            if i % 2:
                x = self.windows(block, x.roll((-2, -2), (1, 2)), self.mask).roll((2, 2), (1, 2))
            else:
                x = self.windows(block, x, None)
        return self.head(self.norm(x).mean((1, 2)))


class Bert(nn.Module):
    def __init__(self, hidden=-torch.inf, c=64, layers=4):
        super().__init__()
        self.words, self.places = nn.Embedding(1000, c), nn.Embedding(64, c)
        self.norm, self.hidden = nn.LayerNorm(c), hidden
        self.blocks = nn.ModuleList(Block(c, 4, first_norm=False) for _ in range(layers))

    def forward(self, ids, mask):
        x = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1])))
        blocked = torch.where(mask[:, None, None] > 0, 0.0, self.hidden)
        for block in self.blocks:
            x = block(x, blocked)
        weight = mask[:, :, None].float()
        return x, (x * weight).sum(1) / weight.sum(1)


class Gpt(nn.Module):
    """Causal, and its embedding is the decoder's matrix."""

    def __init__(self, c=64, dtype=torch.float32):
        super().__init__()
        self.words, self.places = nn.Embedding(1000, c), nn.Embedding(64, c)
        self.blocks, self.norm = nn.ModuleList(Block(c, 4) for _ in range(4)), nn.LayerNorm(c)
        self.least = torch.finfo(dtype).min

    def forward(self, ids):
        n = ids.shape[1]
        x = self.words(ids) + self.places(torch.arange(n))
        mask = torch.full((n, n), self.least, dtype=x.dtype).triu(1)
        for block in self.blocks:
            x = block(x, mask)
        return F.linear(self.norm(x), self.words.weight)
