// Public entry `mpp-flow/files`: a store that keeps one file per channel, for the processes of one machine.
// Must never be imported by the core: it needs Node's file system.

export { type FileStore, type FileStoreOptions, fileStore } from '../sessions/file-store.js'
export { type FileLayer, type NewFile, nodeFileLayer } from '../sessions/file-store-layer.js'
