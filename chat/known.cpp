#include "chat/known.h"

#include <iterator>
#include <utility>

namespace linnet::chat {
namespace {

constexpr std::pair<std::string_view, const char *> kTemplates[] = {
    {"alpaca", R"({%- for message in messages -%}
{%- if message.role == 'system' -%}{{ message.content + '\n\n' }}
{%- elif message.role == 'user' -%}{{ '### Instruction:\n' + message.content + '\n\n' }}
{%- else -%}{{ '### Response:\n' + message.content ~ eos_token + '\n\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '### Response:\n' }}{%- endif -%})"},
    {"chatml", R"({%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%})"},
    {"gemma", R"({{- bos_token -}}
{%- for message in messages -%}
{%- set role = 'model' if message.role == 'assistant' else 'user' -%}
{{- '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%})"},
    {"llama2", R"({%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}{%- set ns.system = '<<SYS>>\n' + message.content + '\n<</SYS>>\n\n' -%}
{%- elif message.role == 'user' -%}
{{- bos_token ~ '[INST] ' + ns.system + message.content | trim + ' [/INST]' -}}{%- set ns.system = '' -%}
{%- else -%}{{ ' ' + message.content | trim + ' ' ~ eos_token }}
{%- endif -%}
{%- endfor -%})"},
    {"llama3", R"({{- bos_token -}}
{%- for message in messages -%}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%})"},
    {"mistral", R"({{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}{%- set ns.system = message.content + '\n\n' -%}
{%- elif message.role == 'user' -%}
{{- '[INST] ' + ns.system + message.content + ' [/INST]' -}}{%- set ns.system = '' -%}
{%- else -%}{{ ' ' + message.content | trim ~ eos_token }}
{%- endif -%}
{%- endfor -%})"},
    {"phi3", R"({%- for message in messages -%}
{{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%})"},
    {"zephyr", R"({%- for message in messages -%}
{{- '<|' + message.role + '|>\n' + message.content ~ eos_token + '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>\n' }}{%- endif -%})"},
};

} // namespace

const char *knownTemplate(std::string_view name) {
  for (const auto &[known, text] : kTemplates)
    if (known == name) return text;
  return nullptr;
}

std::string knownTemplateNames() {
  std::string names;
  for (const auto &[known, text] : kTemplates) (names += names.empty() ? "" : ", ") += known;
  return names;
}

} // namespace linnet::chat
