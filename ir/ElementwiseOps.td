// Elementwise ops: on tensors with NumPy broadcasting, and on scalars inside `linnet.fused`.
#ifndef LINNET_IR_ELEMENTWISEOPS_TD
#define LINNET_IR_ELEMENTWISEOPS_TD

include "ir/LinnetDialect.td"
include "ir/LinnetInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

defvar Linnet_Differentiable = DeclareOpInterfaceMethods<Linnet_DifferentiableOpInterface>;

// The op says in its extraClassDefinition how many operations it does.
defvar Linnet_CountsFlops = DeclareOpInterfaceMethods<Linnet_FlopsOpInterface, ["flops"]>;

class Linnet_Op<string mnemonic, list<Trait> traits = []> : Op<Linnet_Dialect, mnemonic, traits>;

def Linnet_Float : AnyTypeOf<[F32, F16, BF16]>;
def Linnet_FloatTensor : RankedTensorOf<[F32, F16, BF16]>;
def Linnet_IntTensor : RankedTensorOf<[I32]>;
/// Storage types of weights: floats, or integers that a matmul scales.
def Linnet_WeightTensor : RankedTensorOf<[F32, F16, BF16, I8, I<4>]>;
def Linnet_QuantizedTensor : RankedTensorOf<[I8, I<4>]>;
def Linnet_AnyTensor : RankedTensorOf<[F32, F16, BF16, I32, I8, I<4>]>;
def Linnet_FloatLike : AnyTypeOf<[Linnet_Float, Linnet_FloatTensor], "float scalar or tensor">;
def Linnet_NumberLike : AnyTypeOf<[Linnet_Float, I32, I8, Linnet_AnyTensor], "scalar or tensor">;

class Linnet_BinaryOp<string mnemonic, string formula, list<Trait> traits = []>
    : Linnet_Op<mnemonic, !listconcat([Pure, Linnet_ElementwiseOpInterface, Linnet_FlopsOpInterface,
        DeclareOpInterfaceMethods<InferTypeOpInterface>, Linnet_Differentiable], traits)> {
  let summary = "elementwise " # formula;
  let description = "result = " # formula # [{. Shapes broadcast as in NumPy: aligned at the last dimension, each
pair of dimensions equal (dynamic ones by name) or one of them 1. Element types are equal.
}];
  let arguments = (ins Linnet_FloatLike:$lhs, Linnet_FloatLike:$rhs);
  let results = (outs Linnet_FloatLike:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
  let hasFolder = 1;
  let hasCanonicalizer = 0;
}
class Linnet_UnaryOp<string mnemonic, string formula, list<Trait> traits = []>
    : Linnet_Op<mnemonic, !listconcat([Pure, SameOperandsAndResultType,
        Linnet_ElementwiseOpInterface, Linnet_FlopsOpInterface, Linnet_Differentiable], traits)> {
  let summary = "elementwise " # formula;
  let description = "result = " # formula # ".\n";
  let arguments = (ins Linnet_FloatLike:$operand);
  let results = (outs Linnet_FloatLike:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand)";
  let hasFolder = 1;
}

def Linnet_AddOp : Linnet_BinaryOp<"add", "lhs + rhs", [Commutative]>;
def Linnet_SubOp : Linnet_BinaryOp<"sub", "lhs - rhs">;
def Linnet_MulOp : Linnet_BinaryOp<"mul", "lhs * rhs", [Commutative]>;
def Linnet_DivOp : Linnet_BinaryOp<"div", "lhs / rhs">;
def Linnet_MaxOp : Linnet_BinaryOp<"max", "max(lhs, rhs)", [Commutative]>;
def Linnet_MinOp : Linnet_BinaryOp<"min", "min(lhs, rhs)", [Commutative]>;
def Linnet_NegOp : Linnet_UnaryOp<"neg", "-x">;
def Linnet_ExpOp : Linnet_UnaryOp<"exp", "e^x">;
def Linnet_LogOp : Linnet_UnaryOp<"log", "ln x">;
def Linnet_TanhOp : Linnet_UnaryOp<"tanh", "tanh x">;
def Linnet_ErfOp : Linnet_UnaryOp<"erf", "erf x">;
def Linnet_SqrtOp : Linnet_UnaryOp<"sqrt", "sqrt x">;
def Linnet_RsqrtOp : Linnet_UnaryOp<"rsqrt", "1 / sqrt x">;
def Linnet_ReluOp : Linnet_UnaryOp<"relu", "max(x, 0)">;
def Linnet_SiluOp : Linnet_UnaryOp<"silu", "x / (1 + e^-x)">;

def Linnet_GeluOp : Linnet_Op<"gelu", [Pure, SameOperandsAndResultType,
    Linnet_ElementwiseOpInterface, Linnet_FlopsOpInterface, Linnet_Differentiable]> {
  let summary = "Gaussian error linear unit";
  let description = [{
    `erf`:  x/2 (1 + erf(x / sqrt 2))
    `tanh`: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), GPT-2's `gelu_new`.
    `quick`: x / (1 + e^(-1.702 x)), `quick_gelu` in transformers.
    Hendrycks and Gimpel, 2016, arXiv:1606.08415.
  }];
  let arguments = (ins Linnet_FloatLike:$operand, Linnet_GeluFormAttr:$form);
  let results = (outs Linnet_FloatLike:$result);
  let assemblyFormat = "$form $operand attr-dict `:` type($operand)";
}

def Linnet_CastOp : Linnet_Op<"cast", [Pure, Linnet_ElementwiseOpInterface, Linnet_FlopsOpInterface,
    Linnet_Differentiable]> {
  let summary = "conversion of the element type";
  let description = [{
    To a narrower float it rounds to nearest even. To an integer it rounds towards zero and saturates. Shapes are equal.
  }];
  let arguments = (ins Linnet_NumberLike:$operand);
  let results = (outs Linnet_NumberLike:$result);
  let assemblyFormat = "$operand attr-dict `:` type($operand) `to` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif
