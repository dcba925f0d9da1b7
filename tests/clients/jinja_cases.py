"""Small templates for each part of Jinja2 that Linnet's chat templates have, with their variables."""

VARIABLES = {
    "text": "Hello, World",
    "blank": " \t a b\xa0\n",
    "accents": "\xc9t\xe9 stra\xdfe \u0394\u03a3 \u4e2d",
    "empty": "",
    "zero": 0,
    "seven": 7,
    "pi": 3.25,
    "big": 1e16,
    "yes": True,
    "nothing": None,
    "numbers": [3, 1, 2, 1],
    "words": ["b", "A", "c"],
    "mixed": [1, "two", None, 3.0, [True], {"k": "v"}],
    "pair": {"b": 1, "a": [1, 2]},
    "quotes": 'it\'s "so"\\\n\t\xe9\u200b',
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "tool", "content": "T"},
        {"role": "assistant", "content": None},
    ],
    "markup": "<a & 'b'>",
}

# Pieces of text between tags, for white space control.
_TAGS = ["{% if yes %}", "{%- if yes %}", "{% if yes -%}", "{%+ if yes %}", "{% if yes +%}", "{%- if yes -%}"]

TEMPLATES = [f"a \n  {tag}\n  b \n {{% endif %}}\n c\n" for tag in _TAGS] + [
    "",
    "\n",
    "a\n\n",
    "a\r\nb\rc",
    "  {{ seven }}\n  {{- seven }}\n {{ seven -}} \n x",
    "{# c #}\n a {#- c -#} \n b",
    "  {# c #}\n  x",
    "{% raw %}{{ x }} {% if %}{% endraw %}",
    "a\n  {% raw %}\n  {{ x }}\n  {% endraw %}\nb",
    " {%- raw -%} \n x {%- endraw -%} \n y",
    "{{ 'a' }}\n{% set x = 1 %}\nb{{ x }}",
    "{{ '}}' }} {{ {'a': {'b': 1}} }}",
    "{% if true %}\n{% endif %}\n",
    "x{% if yes %} y{% endif %} z",
    "{{ none }} {{ true }} {{ False }} {{ 1_000 }} {{ 1.50 }} {{ 1e3 }} {{ big }} {{ pi }} {{ 1e-5 }} {{ 0.1 + "
    "0.2 }} {{ 1e100 }} {{ 100000.0 }}",
    "{{ 'a' 'b' }} {{ 'a\\nb\\x41\\u00e9\\'\\q\\101' }} {{ \"it's\" }}",
    "{{ [1, 'a', none, true, 2.0] }} {{ (1,) }} {{ () }} {{ (1, 'x') }}",
    "{{ {'a': 1, 'b': [1, 2], 3: none} }} {{ [] }} {{ {} }}",
    '{{ quotes }} {{ [quotes] }} {{ [text, "it\'s"] }} {{ mixed }}',
    "{{ missing }}|{{ [missing] }}",
    "{{ 1, 2 }}",
    "{{ accents }} {{ [accents] }}",
    "{{ pair.a }} {{ pair['b'] }} {{ pair.c is defined }} {{ pair.a.0 }} {{ numbers[-1] }} {{ numbers[9] }} {{ "
    "text[0] }} {{ accents[-1] }} {{ text[99] }}",
    "{{ nothing.x }} {{ seven.x }} {{ nothing['x'] is defined }}",
    "{{ numbers[1:] }} {{ numbers[:-1] }} {{ numbers[::2] }} {{ numbers[::-1] }} {{ text[7:] }}",
    "{{ accents[1:5] }} {{ text[::-1] }} {{ numbers[5:1] }} {{ numbers[-9:9:3] }} {{ text[-3:none] }}",
    "{{ missing.x }}",
    "{{ missing['x'] }}",
    "{{ missing.x.y }}",
    "{{ (1, 2)[0] }} {{ [[1, 2], [3]][1][0] }} {{ numbers[true] }}",
    "{{ pair.items is callable }} {{ pair.a is callable }}",
    "{{ numbers['x'] is defined }}",
    "{{ 1 + 2 * 3 - 4 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** "
    "10 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }}",
    "{{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 2 * 'x' }} {{ [1] + [2] }} {{ [0] * 3 }} "
    "{{ true + 1 }}",
    "{{ -2 ** 2 }} {{ - 3 }} {{ +true }}",
    "{{ 'a' ~ 1 ~ none ~ missing ~ 2.0 }}",
    "{{ 1 + 'a' }}",
    "{{ 'a' + 1 }}",
    "{{ 'a' + none }}",
    "{{ 1 / 0 }}",
    "{{ none + none }}",
    "{{ missing + 1 }}",
    "{{ 5 - 'a' }}",
    "{{ 1 < 2 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' < 'b' }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ [1, 2] < "
    "[1, 3] }} {{ [1] == [1] }} {{ {'a': 1} == {'a': 1} }}",
    "{{ 'a' == 1 }} {{ none == false }} {{ missing == missing2 }} {{ missing != none }} {{ (1, 2) == [1, 2] }}",
    "{{ 1 < 'a' }}",
    "{{ none < 1 }}",
    "{{ 'ell' in text }} {{ 3 in numbers }} {{ 9 not in numbers }} {{ 'a' in pair }} {{ 'x' in missing }} {{ "
    "none in mixed }} {{ '' in text }}",
    "{{ 1 in text }}",
    "{{ 1 in 5 }}",
    "{{ missing in text }}",
    "{{ not true }} {{ not not 1 }} {{ 1 and 0 }} {{ 0 or 'x' }} {{ '' or none }} {{ 1 and 'y' or 'z' }} {{ "
    "not 1 == 2 }}",
    "{{ 'a' if yes else 'b' }} {{ 'a' if zero }} {{ 1 if zero else 2 if zero else 3 }} {{ ('x' if yes) ~ '!' }}",
    "{{ 'a' if yes and not zero else 'b' }}",
    "{{ text is string }} {{ pair is mapping }} {{ numbers is iterable }} {{ text is iterable }} {{ seven is "
    "number }} {{ yes is number }} {{ yes is integer }} {{ pi is float }}",
    "{{ missing is defined }} {{ missing is undefined }} {{ nothing is none }} {{ nothing is not none }} {{ "
    "numbers is sequence }} {{ pair is sequence }} {{ missing is iterable }}",
    "{{ yes is true }} {{ 1 is true }} {{ zero is false }} {{ yes is boolean }} {{ seven is odd }} {{ seven is "
    "even }} {{ seven is divisibleby 7 }} {{ seven is eq 7 }}",
    "{{ 'a' is in 'abc' }} {{ 3 is in numbers }} {{ 'AB' is upper }} {{ 'ab' is lower }} {{ 5 is gt 3 }} {{ 5 "
    "is lessthan 3 }} {{ none is sameas none }} {{ 'a' is ne('b') }}",
    "{{ 1 is not defined or true }} {{ missing is not string and yes }}",
    "{{ numbers is mapping }} {{ range is callable }}",
    "[{{ blank | trim }}] [{{ 'xxaxx' | trim('x') }}] {{ text | upper }} {{ text | lower }} {{ 'hELLO wORLD' | "
    "capitalize }} {{ 'hello wORLD-foo (bar' | title }}",
    "{{ accents | upper }} {{ accents | lower }} {{ '\u0130\u01c5' | lower }} {{ none | upper }}",
    "{{ text | length }} {{ numbers | count }} {{ pair | length }} {{ accents | length }} {{ missing | length " "}}",
    "{{ numbers | join(', ') }} {{ words | join }} {{ messages | join('|', attribute='role') }} {{ 'abc' | "
    "join('-') }} {{ pair | join(' ') }}",
    "{{ numbers | first }} {{ numbers | last }} {{ [] | first }} {{ text | last }} {{ pair | first }}",
    "{{ missing | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }} {{ none | d('x') }} {{ "
    "missing | default }}",
    "{{ mixed | tojson }} {{ pair | tojson(indent=2) }} {{ quotes | tojson }} {{ accents | "
    "tojson(ensure_ascii=true) }} {{ pair | tojson(sort_keys=true) }} {{ [] | tojson }} {{ '\U0001f600\x7f' | "
    "tojson(ensure_ascii=true) }}",
    "{{ pair | tojson(separators=(',', ':')) }} {{ {1: 2, none: 3, true: 4} | tojson }} {{ pi | tojson }} {{ "
    "{'a': {}, 'b': [[]]} | tojson(indent=4) }} {{ [1, [2]] | tojson(indent='>') }}",
    "{{ missing | tojson }}",
    "{{ text | replace('l', 'L') }} {{ text | replace('l', 'L', 1) }} {{ 'aaa' | replace('a', 'b', 2) }} {{ "
    "'ab' | replace('', '-') }} {{ 121 | replace(1, 3) }}",
    "{{ text | list }} {{ pair | list }} {{ pair | items | list }} {{ missing | items | list }} {{ range(3) | "
    "list }} {{ (1, 2) | list }}",
    "{{ messages | selectattr('role', 'equalto', 'tool') | list }} {{ messages | rejectattr('role', 'equalto', "
    "'tool') | map(attribute='role') | list }}",
    "{{ messages | selectattr('content') | map(attribute='role') | join(',') }} {{ messages | "
    "map(attribute='missing', default='x') | list }} {{ words | map('upper') | list }}",
    "{{ numbers | select('gt', 1) | list }} {{ numbers | reject('odd') | list }} {{ mixed | select | list | "
    "length }} {{ mixed | select('string') | list }}",
    "{% if [] | selectattr('a') %}an iterator is true{% endif %}",
    "{{ numbers | map('string') | length }}",
    "{% set it = words | map('upper') %}{{ it | list }} {{ it | list }}",
    "{{ nothing | map('upper') | list }}",
    "{{ numbers | sort }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ numbers | "
    "sort(reverse=true) }} {{ messages | sort(attribute='role') | map(attribute='role') | list }}",
    "{{ numbers | unique | list }} {{ numbers | sum }} {{ numbers | min }} {{ words | max }} {{ [] | max }} {{ "
    "pair | dictsort }} {{ numbers | reverse | list }} {{ text | reverse }}",
    "{{ '42' | int }} {{ '4.7' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ 3.9 | int }} {{ '2.5' | float }} "
    "{{ 'x' | float }} {{ -3 | abs }} {{ 42 | string }} {{ ' 7 ' | int }}",
    "{{ 2.5 | round }} {{ 3.14159 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} "
    "{{ 5 | round }}",
    "{{ 'a\nb\n\nc' | indent }} {{ 'a\nb' | indent(2, true) }} {{ 'a\n\nb' | indent(2, blank=true) }}",
    "{{ markup | escape }} {{ markup | e | upper }} {{ markup | safe }} {{ (markup | safe) ~ markup }}",
    "{{ text | upper | lower | capitalize }}",
    "{{ -1 | abs }} {{ (1 + 1) | string ~ 'x' }}",
    "{{ seven | length }}",
    "{{ none | first }}",
    "{{ [1, 'a'] | sort }}",
    "{{ numbers | join(missing) }}",
    "{{ 1 | items | list }}",
    "[{{ blank.strip() }}] [{{ 'xay'.strip('xy') }}] [{{ ' a '.lstrip() }}] [{{ ' a '.rstrip() }}] {{ "
    "'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }}",
    "{{ 'a b c'.rsplit(' ', 1) }} {{ ' a b c '.split(none, 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ "
    "'a,b,,'.split(',') }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a\nb\r\nc'.splitlines() }}",
    "{{ text.startswith('He') }} {{ text.endswith(('x', 'ld')) }} {{ text.upper() }} {{ text.lower() }} {{ "
    "'aB'.capitalize() }} {{ text.replace('l', '', 2) }} {{ text.find('o') }} {{ text.rfind('o') }}",
    "{{ text.count('l') }} {{ ', '.join(words) }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} "
    "{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ accents.find('\u4e2d') }}",
    "{{ pair.get('b') }} {{ pair.get('z') }} {{ pair.get('z', 9) }} {{ pair.items() | list }} {{ pair.keys() | "
    "list }} {{ pair.values() | list }} {{ numbers.index(2) }} {{ numbers.count(1) }}",
    "{{ text.split('</think>')[-1].lstrip('\n') }}",
    "{{ numbers.append(1) }}",
    "{{ text.missing() }}",
    "{{ ''.join(numbers) }}",
    "{{ text.split('') }}",
    "{{ none.strip() }}",
    "{{ numbers.index(99) }}",
    "{% for x in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.revindex "
    "}}{{ loop.revindex0 }}{{ loop.length }}:{{ x }};{% endfor %}",
    "{% for x in [] %}x{% else %}none{% endfor %} {% for x in missing %}x{% else %}none{% endfor %}",
    "{% for k, v in pair.items() %}{{ k }}={{ v }};{% endfor %} {% for k in pair %}{{ k }}{% endfor %}",
    "{% for x in numbers if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }};{% else %}no{% endfor %}",
    "{% for x in numbers %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in numbers %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for a in [1, 2] %}{% for b in 'xy' %}{{ loop.depth }}{{ a }}{{ b }}{{ loop.index }} {% endfor %}{{ "
    "loop.index }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}{{ b }} {% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for x in none %}{% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set ns = namespace(a=1, b='x') %}{% for i in numbers %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a "
    "}}{{ ns.b }}{{ ns.c is defined }}",
    "{% set x.a = 1 %}",
    "{% if yes %}{% set x = 5 %}{% endif %}{{ x }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set (c, d) = [3, 4] %}{{ c }}{{ d }}",
    "{% set x %}a {{ seven }} b{% endset %}[{{ x }}] {% set y | upper | trim %} q {% endset %}[{{ y }}]",
    "{% set x = 1, 2 %}{{ x }}",
    "{% if zero %}a{% elif nothing %}b{% elif yes %}c{% else %}d{% endif %} {% if not zero and yes %}e{% endif " "%}",
    "{% if missing %}a{% else %}b{% endif %}",
    "{% filter upper %}a {{ text }}{% endfilter %} {% filter trim | replace('a', 'b') %} aa {% endfilter %}",
    "{% macro m(a, b=2, c=b) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(a=5, c=6) }} "
    "{{ m() }} {{ m(1) | upper }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(b=1) }}",
    "{% macro m(x) %}{% if x > 0 %}{{ x }}{{ m(x - 1) }}{% endif %}{% endmacro %}{{ m(4) }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 3 %}{{ m() }}",
    "{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) m(2) %}{{ y + 1 }}{% endcall %} {% macro n() "
    "%}({{ caller() }}){% endmacro %}{% call n() %}body{% endcall %}",
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(**{'a': 1}) }} {{ m(1, **{'b': 3}) }} {{ dict(a=1, "
    "**pair) }}",
    "{{ dict(**5) }}",
    "{{ dict(*5) }}",
    "{{ dict(*missing) }}",
    "{% macro m(a, b, c=3) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(*[1, 2]) }} {{ m(1, *'xy') }} {{ m(*(1,), "
    "**{'b': 5}) }} {{ m(*[1], b=2) }}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}",
    "{% generation %}a{{ seven }}{% endgeneration %}",
    "{% set loop = 3 %}{{ loop }}",
    "{% for x in range(2, 8, 3) %}{{ x }} {% endfor %}{{ range(3) | length }} {{ range(5)[1] }} {{ "
    "range(5)[-1] }}",
    "{{ range(3, 0, -1) | list }}",
    "{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }}",
    "{{ strftime_now('%Y-%m-%d %d %B %H:%M') }}",
    "{{ raise_exception('no') }}",
    "{{ missing() }}",
    "{{ seven() }}",
    "{{ range(100001) | length }}",
    "{% if messages[0]['role'] == 'user' %}{{ messages[0].content }}{% endif %}",
    "{{ messages[2].content }}{{ messages[1:] | length }}",
]
