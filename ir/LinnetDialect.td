// The `linnet` dialect and its attributes. Ops: ElementwiseOps.td, TensorOps.td; interfaces: LinnetInterfaces.td.
#ifndef LINNET_IR_LINNETDIALECT_TD
#define LINNET_IR_LINNETDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"

def Linnet_Dialect : Dialect {
  let name = "linnet";
  let cppNamespace = "::linnet::ir";
  let summary = "A small tensor IR for transformers";
  let description = [{

    Ops have value semantics on ranked tensors. The tensor's encoding names each dynamic dimension:
    `tensor<?x?x768xf32, #linnet.dims<batch, seq>>`. A name stands for the same number everywhere in a function. The
    function attribute `linnet.bounds = {batch = 1, seq = 256}` has the largest value of each name.

    A module holds entry functions (`func.func`). Their arguments and results have a name: `linnet.name = "ids"`.
    State that outlives a call (a KV cache) is an argument and a result with the same `linnet.state = "k.0"`. A backend
    keeps it in one buffer and updates it in place. `linnet.param` names a weight, which is stored outside the module.

    A whole module, a perceptron (tests/lit/ir/perceptron.mlir):

        func.func @forward(%x: tensor<?x4xf32, #linnet.dims<batch>> {linnet.name = "x"})
            -> (tensor<?x3xf32, #linnet.dims<batch>> {linnet.name = "y"}) attributes {linnet.bounds = {batch = 8}} {
          %w = linnet.param "w" : tensor<4x3xf32>
          %b = linnet.param "b" : tensor<3xf32>
          %0 = linnet.matmul %x, %w bias %b {activation = #linnet<activation relu>}
            : tensor<?x4xf32, #linnet.dims<batch>>, tensor<4x3xf32> bias tensor<3xf32>
          %1 = linnet.softmax %0 : tensor<?x3xf32, #linnet.dims<batch>>
          return %1 : tensor<?x3xf32, #linnet.dims<batch>>
        }
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
}

class Linnet_Attr<string name, string mnemonic_, list<Trait> traits = []> : AttrDef<Linnet_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

def Linnet_DimsAttr : Linnet_Attr<"Dims", "dims", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "names of a tensor's dynamic dimensions";
  let description = [{
    One name for each dynamic dimension, in order: `tensor<?x?x768xf32, #linnet.dims<batch, seq>>` has shape
    (batch, seq, 768). A tensor type with dynamic dimensions must have it, one without must not.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$names);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Linnet_PanelAttr : Linnet_Attr<"Panel", "panel", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "a matrix packed in column panels";
  let description = [{
    The layout of a matmul's constant operand. The logical shape stays [K, N], or [N, K] if `transposed`. Columns are
    divided into panels of `n_block`. A panel holds its rows k in blocks of `k_block`. Within a block, `interleave`
    consecutive k of one column are adjacent (1 for f32, 2 for bf16, 4 for int8):

        offset(k, n) = ((n / n_block * ceil(K / k_block) + k / k_block) * k_block * n_block)
                     + (k % k_block / interleave * n_block + n % n_block) * interleave + k % interleave

    in elements. The ragged edge is padded with zeros. `#linnet.panel<16x64>` for f32 is oneDNN's BA16a64b.
  }];
  let parameters = (ins "int64_t":$k_block, "int64_t":$n_block, "int64_t":$interleave, "bool":$transposed);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Linnet_SlotAttr : Linnet_Attr<"Slot", "slot"> {
  let summary = "a range of the activation arena, in bytes";
  let description = [{
    `linnet-plan-memory` sets it on results as `linnet.slot`: `#linnet.slot<offset, size>`.
    The result occupies [offset, offset + size) of the arena from its definition to its last use.
  }];
  let parameters = (ins "int64_t":$offset, "int64_t":$size);
  let assemblyFormat = "`<` $offset `,` $size `>`";
}

class Linnet_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::linnet::ir";
  let genSpecializedAttr = 0;
}
def Linnet_Activation : Linnet_Enum<"Activation", "activation function", [
    I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"relu", 1>, I32EnumAttrCase<"gelu_erf", 2>,
    I32EnumAttrCase<"gelu_tanh", 3>, I32EnumAttrCase<"gelu_quick", 4>, I32EnumAttrCase<"silu", 5>]>;
def Linnet_ActivationAttr : EnumAttr<Linnet_Dialect, Linnet_Activation, "activation"> { let assemblyFormat = "$value"; }
def Linnet_GeluForm : Linnet_Enum<"GeluForm", "form of GELU", [
    I32EnumAttrCase<"erf", 0>, I32EnumAttrCase<"tanh", 1>, I32EnumAttrCase<"quick", 2>]>;
def Linnet_GeluFormAttr : EnumAttr<Linnet_Dialect, Linnet_GeluForm, "gelu_form"> { let assemblyFormat = "$value"; }
def Linnet_PoolMode : Linnet_Enum<"PoolMode", "which positions a pool takes", [
    I32EnumAttrCase<"last", 0>, I32EnumAttrCase<"first", 1>, I32EnumAttrCase<"mean", 2>]>;
def Linnet_PoolModeAttr : EnumAttr<Linnet_Dialect, Linnet_PoolMode, "pool_mode"> { let assemblyFormat = "$value"; }
def Linnet_ReduceKind : Linnet_Enum<"ReduceKind", "what a reduction computes", [
    I32EnumAttrCase<"sum", 0>, I32EnumAttrCase<"mean", 1>, I32EnumAttrCase<"max", 2>]>;
def Linnet_ReduceKindAttr : EnumAttr<Linnet_Dialect, Linnet_ReduceKind, "reduce_kind"> { let assemblyFormat = "$value"; }

#endif
