// What the playground takes of CodeMirror 6: an editor of YAML, a reader of Python, light and dark.
export { basicSetup } from "codemirror";
export { EditorState, Compartment } from "@codemirror/state";
export { EditorView, keymap } from "@codemirror/view";
export { indentWithTab } from "@codemirror/commands";
export { indentUnit, syntaxHighlighting, HighlightStyle } from "@codemirror/language";
export { yaml } from "@codemirror/lang-yaml";
export { python } from "@codemirror/lang-python";
export { setDiagnostics, lintGutter, forceLinting } from "@codemirror/lint";
export { autocompletion } from "@codemirror/autocomplete";
export { tags } from "@lezer/highlight";
