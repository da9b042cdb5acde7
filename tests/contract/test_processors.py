"""What a recording says of the CPU that it was taken on."""

from support import processors

XEON = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512f amx_bf16 amx_tile sse\n"


def test_a_cpu_is_its_model_and_the_flags_that_decide_how_it_rounds(tmp_path):
    (tmp_path / "cpuinfo").write_text(XEON)
    found = processors.this_one(tmp_path / "cpuinfo")
    assert found == {"model": "A CPU @ 2 GHz", "flags": ["avx2", "avx512f", "amx_tile", "amx_bf16"]}


def test_a_machine_that_names_neither_has_its_architecture(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert processors.this_one(tmp_path / "cpuinfo")["flags"] == []
