// `npm run test:all`: every test file, with every generated case.
import { configOf } from './vitest.config.js'

export default configOf('all')
