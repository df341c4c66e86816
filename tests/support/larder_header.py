"""larder.h for ctypes, read from the header itself: what a binding in another language has to do by hand.

Only plain C is understood: numbers by #define, enums, structs of scalars and pointers, types of functions, functions.
Anything else in the header is an error, so that it stays that easy to bind.
"""

import ctypes
import os
import re

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "server", "include", "larder.h")

SCALARS = {
    "char": ctypes.c_char, "unsigned char": ctypes.c_ubyte, "int": ctypes.c_int, "double": ctypes.c_double,
    "size_t": ctypes.c_size_t, "uint32_t": ctypes.c_uint32, "int32_t": ctypes.c_int32, "uint64_t": ctypes.c_uint64,
    "int64_t": ctypes.c_int64,
}  # fmt: skip
DECLARATOR = re.compile(r"(?:const\s+)?((?:struct|enum)\s+\w+|unsigned char|\w+)\s*((?:\*\s*(?:const\s*)?)*)(\w*)(\[.*\])?$")


class HeaderError(Exception):
    pass


class Header:
    """What the header declares.

    numbers     #define and enum names to their values
    macros      #define names to their text, of those that are no numbers
    results     names of enum larder_result in order, with their texts
    structs     names to ctypes.Structure classes; those that are only named have no fields
    callbacks   names of types of functions to ctypes' types
    functions   names to (type of the result, types of the parameters)
    """

    def __init__(self, path=HEADER):
        with open(path, encoding="ascii") as file:
            text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S).replace("\\\n", " ")
        self.numbers, self.macros, self.enums = {}, {}, {}
        self.structs, self.callbacks, self.functions = {}, {}, {}
        self._read_defines(text)
        self.results = re.findall(r'X\((\w+), "([^"]*)"\)', self.macros["LARDER_RESULTS(X)"])
        text = re.sub(r"^#.*$", "", text, flags=re.M).replace("LARDER_RESULTS(LARDER_RESULT_ENUM)",
                                                             ",".join(name for name, _ in self.results))
        text = text.replace('extern "C" {', "", 1)
        text = text[: text.rindex("}")] if text.count("{") < text.count("}") else text
        for statement in re.findall(r"\s*((?:[^;{}]|\{[^{}]*\})*);", text):
            self._read_statement(" ".join(statement.split()))

    def _read_defines(self, text):
        for name, value in re.findall(r"^#define (\w+(?:\(\w+(?:, ?\w+)*\))?)[ \t]*(.*)$", text, re.M):
            number = re.fullmatch(r"\(?(\d+)u?\)?", value.strip())
            if number:
                self.numbers[name] = int(number.group(1))
            else:
                self.macros[name] = value.strip()

    def _read_statement(self, statement):
        for pattern, read in ((r"enum (\w+) \{(.*)\}$", self._read_enum), (r"struct (\w+) \{(.*)\}$", self._read_struct),
                              (r"struct (\w+)()$", self._read_struct),
                              (r"typedef (.+?)(\w+)\((.*)\)$", self._read_callback),
                              (r"LARDER_API(?:_VOID)? (.+?)(\w+)\((.*)\)$", self._read_function)):
            match = re.match(pattern, statement)
            if match:
                read(*(part.strip() for part in match.groups()))
                return
        raise HeaderError(f"not understood: {statement}")

    def _read_enum(self, name, body):
        value, values = -1, []
        for word in filter(None, (word.strip() for word in body.split(","))):
            constant, _, given = (part.strip() for part in word.partition("="))
            value = int(given, 0) if given else value + 1
            self.numbers[constant] = value
            values.append(constant)
        self.enums[name] = values

    def _struct(self, name):
        return self.structs.setdefault(name, type(name, (ctypes.Structure,), {}))

    def _read_struct(self, name, body):
        fields = [self._declared(field) for field in filter(None, (field.strip() for field in body.split(";")))]
        if fields:
            self._struct(name)._fields_ = [(field, kind) for kind, field in fields]
        else:
            self._struct(name)

    def _read_callback(self, result, name, parameters):
        self.callbacks[name] = ctypes.CFUNCTYPE(self._declared(result)[0], *self._parameters(parameters))

    def _read_function(self, result, name, parameters):
        self.functions[name] = (self._declared(result)[0], self._parameters(parameters))

    def _parameters(self, text):
        return [] if text == "void" else [self._declared(word.strip())[0] for word in text.split(",")]

    def _declared(self, text):
        """The ctypes type and the name of a declaration such as `const void *key`."""
        match = DECLARATOR.match(text)
        if not match:
            raise HeaderError(f"not understood: {text}")
        base, stars, name, array = match.groups()
        depth = stars.count("*")
        if base in self.callbacks and depth == 1:
            kind = self.callbacks[base]
        elif base == "void":
            kind, depth = (ctypes.c_void_p, depth - 1) if depth else (None, 0)
        elif base == "char" and depth == 1:
            # A buffer of the caller's is no Python string.
            kind, depth = (ctypes.c_char_p if text.startswith("const") else ctypes.c_void_p), 0
        elif base.startswith("struct "):
            kind = self._struct(base[7:])
        elif base.startswith("enum "):
            kind = ctypes.c_int
        elif base in SCALARS:
            kind = SCALARS[base]
        else:
            raise HeaderError(f"no such type: {text}")
        for _ in range(0 if base in self.callbacks else depth):
            kind = ctypes.POINTER(kind)
        if array:
            length = re.sub(r"\b[A-Z_]+\b", lambda constant: str(self.numbers[constant.group()]), array[1:-1])
            kind = kind * sum(int(term) for term in length.split("+"))
        return kind, name


class Library:
    """The functions of the header, by their names without `larder_`, in the shared libraries that have them; `called` has
    those that were used."""

    def __init__(self, paths, header):
        self.header = header
        self.called = set()
        self.found = {}
        for handle in [ctypes.CDLL(path, use_errno=True) for path in paths]:
            for name in header.functions:
                if name not in self.found and hasattr(handle, name):
                    self.found[name] = getattr(handle, name)
                    self.found[name].restype, self.found[name].argtypes = header.functions[name]

    def __getattr__(self, name):
        self.called.add(f"larder_{name}")
        return self.found[f"larder_{name}"]

    def new(self, name, **members):
        """A struct of the header."""
        return self.header.structs[f"larder_{name}"](**members)
