"""Denoisers: the one that ships (`embedded`); each follows the protocol in `diffusion.denoiser`."""
