"""A model for Triton that does what its first token says; see test_triton. Anything else gets a good answer."""

import torch
import triton_python_backend_utils as backend

NOT_A_NUMBER, LONG, TOO_MANY, NO_MEMORY, RAISES = range(101, 106)


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        given = torch.from_dlpack(request.inputs()[0])
        told = given[0].flatten()[0].item()
        if told == RAISES:
            raise RuntimeError("told to")
        if told == NO_MEMORY:
            return backend.InferenceResponse(error=backend.TritonError("CUDA out of memory. Tried to allocate 20.00 MiB"))
        vectors = torch.zeros(len(given) + (told == TOO_MANY), 4)
        vectors[:, 0] = {NOT_A_NUMBER: float("nan"), LONG: 2.0}.get(told, 1.0)
        about = torch.frombuffer(bytearray(b'{"device": "cpu", "precision": "fp32"}'), dtype=torch.uint8).repeat(len(vectors), 1)
        outputs = {"embedding": vectors, "about": about}
        wanted = request.requested_output_names()
        return backend.InferenceResponse([backend.Tensor.from_dlpack(name, outputs[name]) for name in outputs if name in wanted])
