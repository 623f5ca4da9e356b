import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Sources by room. The import rules between rooms are in .dependency-cruiser.mjs. */
const production = ['services/**/*.ts', 'devices/**/*.ts', 'dashboards/**/*.ts'];
const core = ['services/core/**/*.ts'];
const terminal = ['services/cli/**/*.ts', 'services/standalone/**/*.ts'];

/** Flat config replaces a rule's options as a whole, so each block states the whole list. */
const syntax = [
  { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
  {
    selector: 'ExportAllDeclaration',
    message: 'No barrels: import from the file that defines it.',
  },
  {
    selector: 'TSAsExpression > TSAsExpression[typeAnnotation.type="TSUnknownKeyword"]',
    message: 'Parse the value instead of casting through unknown.',
  },
  {
    selector:
      ':matches(ImportDeclaration, ExportNamedDeclaration, ImportExpression)[source.value=/^(\\.|#.*\\u002f)/]:not([source.value=/\\.(ts|mjs|json)$/])',
    message: 'Imports inside the project carry the file extension.',
  },
];
/** The core is pure (D1): time and randomness come in as arguments. */
const pure = [
  {
    selector: 'NewExpression[callee.name="Date"][arguments.length=0]',
    message: 'No clock in core.',
  },
  { selector: 'CallExpression[callee.name="Date"]', message: 'No clock in core.' },
];

export default defineConfig(
  globalIgnores([
    'node_modules/',
    'coverage/',
    'test-reports/',
    'test/vectors/',
    'data/',
    'tried/',
    'tmp/',
    '.hourseal/',
    '**/generated/',
  ]),
  { linterOptions: { noInlineConfig: true } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      eqeqeq: 'error',
      'no-else-return': 'error',
      'no-param-reassign': 'error',
      'object-shorthand': 'error',
      'prefer-template': 'error',
      'no-restricted-syntax': ['error', ...syntax],
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/max-params': ['error', { max: 3 }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        {
          allowAny: false,
          allowBoolean: true,
          allowNever: false,
          allowNullish: false,
          allowNumber: true,
          allowRegExp: false,
        },
      ],
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/strict-boolean-expressions': ['error', { allowNullableBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
    },
  },
  {
    files: production,
    rules: {
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'AbortSignal', property: 'any', message: 'Use withDeadline, which says why.' },
      ],
    },
  },
  {
    files: core,
    ignores: ['**/*.node.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['Buffer', 'process', 'crypto', 'performance', 'fetch', 'require', '__dirname'].map(
          (name) => ({ name, message: 'The core is pure and runs in a browser (D1).' }),
        ),
        ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'].map((name) => ({
          name,
          message: 'The core does not wait.',
        })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'No clock in core.' },
        { object: 'Math', property: 'random', message: 'No randomness in core.' },
        { object: 'globalThis', message: 'The core is pure and runs in a browser (D1).' },
      ],
      'no-restricted-syntax': ['error', ...syntax, ...pure],
    },
  },
  { files: terminal, rules: { 'no-console': 'off' } },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A fake implements an asynchronous interface without waiting for anything.
      '@typescript-eslint/require-await': 'off',
      // `expect(spy.method)` is how vitest names a mock.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['*.config.ts', '**/*.mjs'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: { console: 'readonly', process: 'readonly', URL: 'readonly' },
    },
  },
);
