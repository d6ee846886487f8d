// Loaded before the command in a test: the machine then has another bound than the table.
// Must never be loaded by anything else.
import { CODE_FACTS } from '../../machines/codes.js'

Object.assign(CODE_FACTS.mpp_invalid_challenge, { bound: 0 })
