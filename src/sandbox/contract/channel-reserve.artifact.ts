// biome-ignore-all format: generated
// The compiled channel reserve, generated from ChannelReserve.sol by compile.ts.
// Must never be edited by hand: a test compiles the source again and compares.
export const channelReserveArtifact = {
  "contractName": "ChannelReserve",
  "compiler": "0.8.37+commit.f401782d.Emscripten.clang",
  "sourceHash": "76712dcd77d6a97946a67f60309e420c59d0a8cf66e915a2fb4789d1d6571b39",
  "abi": [
    {
      "inputs": [],
      "name": "AmountExceedsDeposit",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "AmountNotIncreasing",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "CaptureAmountInvalid",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "ChannelAlreadyExists",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "ChannelNotFound",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "CloseNotReady",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "DepositOverflow",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "ExpiringNonceHashNotSet",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "InvalidPayee",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "InvalidSignature",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "InvalidToken",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "NotPayeeOrOperator",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "NotPayer",
      "type": "error"
    },
    {
      "inputs": [],
      "name": "ZeroDeposit",
      "type": "error"
    },
    {
      "anonymous": false,
      "inputs": [
        {
          "indexed": true,
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payer",
          "type": "address"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payee",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "settledToPayee",
          "type": "uint96"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "refundedToPayer",
          "type": "uint96"
        }
      ],
      "name": "ChannelClosed",
      "type": "event"
    },
    {
      "anonymous": false,
      "inputs": [
        {
          "indexed": true,
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payer",
          "type": "address"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payee",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "address",
          "name": "operator",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "address",
          "name": "token",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "address",
          "name": "authorizedSigner",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "bytes32",
          "name": "salt",
          "type": "bytes32"
        },
        {
          "indexed": false,
          "internalType": "bytes32",
          "name": "expiringNonceHash",
          "type": "bytes32"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "deposit",
          "type": "uint96"
        }
      ],
      "name": "ChannelOpened",
      "type": "event"
    },
    {
      "anonymous": false,
      "inputs": [
        {
          "indexed": true,
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payer",
          "type": "address"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payee",
          "type": "address"
        }
      ],
      "name": "CloseRequestCancelled",
      "type": "event"
    },
    {
      "anonymous": false,
      "inputs": [
        {
          "indexed": true,
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payer",
          "type": "address"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payee",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "uint256",
          "name": "closeGraceEnd",
          "type": "uint256"
        }
      ],
      "name": "CloseRequested",
      "type": "event"
    },
    {
      "anonymous": false,
      "inputs": [
        {
          "indexed": true,
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payer",
          "type": "address"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payee",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "cumulativeAmount",
          "type": "uint96"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "deltaPaid",
          "type": "uint96"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "newSettled",
          "type": "uint96"
        }
      ],
      "name": "Settled",
      "type": "event"
    },
    {
      "anonymous": false,
      "inputs": [
        {
          "indexed": true,
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payer",
          "type": "address"
        },
        {
          "indexed": true,
          "internalType": "address",
          "name": "payee",
          "type": "address"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "additionalDeposit",
          "type": "uint96"
        },
        {
          "indexed": false,
          "internalType": "uint96",
          "name": "newDeposit",
          "type": "uint96"
        }
      ],
      "name": "TopUp",
      "type": "event"
    },
    {
      "inputs": [],
      "name": "CLOSE_GRACE_PERIOD",
      "outputs": [
        {
          "internalType": "uint64",
          "name": "",
          "type": "uint64"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [],
      "name": "VOUCHER_TYPEHASH",
      "outputs": [
        {
          "internalType": "bytes32",
          "name": "",
          "type": "bytes32"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [
        {
          "components": [
            {
              "internalType": "address",
              "name": "payer",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "payee",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "operator",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "token",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "salt",
              "type": "bytes32"
            },
            {
              "internalType": "address",
              "name": "authorizedSigner",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "expiringNonceHash",
              "type": "bytes32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelDescriptor",
          "name": "descriptor",
          "type": "tuple"
        },
        {
          "internalType": "uint96",
          "name": "cumulativeAmount",
          "type": "uint96"
        },
        {
          "internalType": "uint96",
          "name": "captureAmount",
          "type": "uint96"
        },
        {
          "internalType": "bytes",
          "name": "signature",
          "type": "bytes"
        }
      ],
      "name": "close",
      "outputs": [],
      "stateMutability": "nonpayable",
      "type": "function"
    },
    {
      "inputs": [
        {
          "internalType": "address",
          "name": "payer",
          "type": "address"
        },
        {
          "internalType": "address",
          "name": "payee",
          "type": "address"
        },
        {
          "internalType": "address",
          "name": "operator",
          "type": "address"
        },
        {
          "internalType": "address",
          "name": "token",
          "type": "address"
        },
        {
          "internalType": "bytes32",
          "name": "salt",
          "type": "bytes32"
        },
        {
          "internalType": "address",
          "name": "authorizedSigner",
          "type": "address"
        },
        {
          "internalType": "bytes32",
          "name": "expiringNonceHash",
          "type": "bytes32"
        }
      ],
      "name": "computeChannelId",
      "outputs": [
        {
          "internalType": "bytes32",
          "name": "",
          "type": "bytes32"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [],
      "name": "domainSeparator",
      "outputs": [
        {
          "internalType": "bytes32",
          "name": "",
          "type": "bytes32"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [
        {
          "components": [
            {
              "internalType": "address",
              "name": "payer",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "payee",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "operator",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "token",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "salt",
              "type": "bytes32"
            },
            {
              "internalType": "address",
              "name": "authorizedSigner",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "expiringNonceHash",
              "type": "bytes32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelDescriptor",
          "name": "descriptor",
          "type": "tuple"
        }
      ],
      "name": "getChannel",
      "outputs": [
        {
          "components": [
            {
              "components": [
                {
                  "internalType": "address",
                  "name": "payer",
                  "type": "address"
                },
                {
                  "internalType": "address",
                  "name": "payee",
                  "type": "address"
                },
                {
                  "internalType": "address",
                  "name": "operator",
                  "type": "address"
                },
                {
                  "internalType": "address",
                  "name": "token",
                  "type": "address"
                },
                {
                  "internalType": "bytes32",
                  "name": "salt",
                  "type": "bytes32"
                },
                {
                  "internalType": "address",
                  "name": "authorizedSigner",
                  "type": "address"
                },
                {
                  "internalType": "bytes32",
                  "name": "expiringNonceHash",
                  "type": "bytes32"
                }
              ],
              "internalType": "struct ChannelReserve.ChannelDescriptor",
              "name": "descriptor",
              "type": "tuple"
            },
            {
              "components": [
                {
                  "internalType": "uint96",
                  "name": "settled",
                  "type": "uint96"
                },
                {
                  "internalType": "uint96",
                  "name": "deposit",
                  "type": "uint96"
                },
                {
                  "internalType": "uint32",
                  "name": "closeRequestedAt",
                  "type": "uint32"
                }
              ],
              "internalType": "struct ChannelReserve.ChannelState",
              "name": "state",
              "type": "tuple"
            }
          ],
          "internalType": "struct ChannelReserve.Channel",
          "name": "",
          "type": "tuple"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [
        {
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        }
      ],
      "name": "getChannelState",
      "outputs": [
        {
          "components": [
            {
              "internalType": "uint96",
              "name": "settled",
              "type": "uint96"
            },
            {
              "internalType": "uint96",
              "name": "deposit",
              "type": "uint96"
            },
            {
              "internalType": "uint32",
              "name": "closeRequestedAt",
              "type": "uint32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelState",
          "name": "",
          "type": "tuple"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [
        {
          "internalType": "bytes32[]",
          "name": "channelIds",
          "type": "bytes32[]"
        }
      ],
      "name": "getChannelStatesBatch",
      "outputs": [
        {
          "components": [
            {
              "internalType": "uint96",
              "name": "settled",
              "type": "uint96"
            },
            {
              "internalType": "uint96",
              "name": "deposit",
              "type": "uint96"
            },
            {
              "internalType": "uint32",
              "name": "closeRequestedAt",
              "type": "uint32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelState[]",
          "name": "states",
          "type": "tuple[]"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [
        {
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        },
        {
          "internalType": "uint96",
          "name": "cumulativeAmount",
          "type": "uint96"
        }
      ],
      "name": "getVoucherDigest",
      "outputs": [
        {
          "internalType": "bytes32",
          "name": "",
          "type": "bytes32"
        }
      ],
      "stateMutability": "view",
      "type": "function"
    },
    {
      "inputs": [
        {
          "internalType": "address",
          "name": "payee",
          "type": "address"
        },
        {
          "internalType": "address",
          "name": "operator",
          "type": "address"
        },
        {
          "internalType": "address",
          "name": "token",
          "type": "address"
        },
        {
          "internalType": "uint96",
          "name": "deposit",
          "type": "uint96"
        },
        {
          "internalType": "bytes32",
          "name": "salt",
          "type": "bytes32"
        },
        {
          "internalType": "address",
          "name": "authorizedSigner",
          "type": "address"
        }
      ],
      "name": "open",
      "outputs": [
        {
          "internalType": "bytes32",
          "name": "channelId",
          "type": "bytes32"
        }
      ],
      "stateMutability": "nonpayable",
      "type": "function"
    },
    {
      "inputs": [
        {
          "components": [
            {
              "internalType": "address",
              "name": "payer",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "payee",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "operator",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "token",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "salt",
              "type": "bytes32"
            },
            {
              "internalType": "address",
              "name": "authorizedSigner",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "expiringNonceHash",
              "type": "bytes32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelDescriptor",
          "name": "descriptor",
          "type": "tuple"
        }
      ],
      "name": "requestClose",
      "outputs": [],
      "stateMutability": "nonpayable",
      "type": "function"
    },
    {
      "inputs": [
        {
          "components": [
            {
              "internalType": "address",
              "name": "payer",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "payee",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "operator",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "token",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "salt",
              "type": "bytes32"
            },
            {
              "internalType": "address",
              "name": "authorizedSigner",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "expiringNonceHash",
              "type": "bytes32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelDescriptor",
          "name": "descriptor",
          "type": "tuple"
        },
        {
          "internalType": "uint96",
          "name": "cumulativeAmount",
          "type": "uint96"
        },
        {
          "internalType": "bytes",
          "name": "signature",
          "type": "bytes"
        }
      ],
      "name": "settle",
      "outputs": [],
      "stateMutability": "nonpayable",
      "type": "function"
    },
    {
      "inputs": [
        {
          "components": [
            {
              "internalType": "address",
              "name": "payer",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "payee",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "operator",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "token",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "salt",
              "type": "bytes32"
            },
            {
              "internalType": "address",
              "name": "authorizedSigner",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "expiringNonceHash",
              "type": "bytes32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelDescriptor",
          "name": "descriptor",
          "type": "tuple"
        },
        {
          "internalType": "uint96",
          "name": "additionalDeposit",
          "type": "uint96"
        }
      ],
      "name": "topUp",
      "outputs": [],
      "stateMutability": "nonpayable",
      "type": "function"
    },
    {
      "inputs": [
        {
          "components": [
            {
              "internalType": "address",
              "name": "payer",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "payee",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "operator",
              "type": "address"
            },
            {
              "internalType": "address",
              "name": "token",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "salt",
              "type": "bytes32"
            },
            {
              "internalType": "address",
              "name": "authorizedSigner",
              "type": "address"
            },
            {
              "internalType": "bytes32",
              "name": "expiringNonceHash",
              "type": "bytes32"
            }
          ],
          "internalType": "struct ChannelReserve.ChannelDescriptor",
          "name": "descriptor",
          "type": "tuple"
        }
      ],
      "name": "withdraw",
      "outputs": [],
      "stateMutability": "nonpayable",
      "type": "function"
    }
  ],
  "deployedBytecode": "0x608060405234801561000f575f5ffd5b50600436106100e5575f3560e01c8063d18da8b111610088578063edc53b0011610063578063edc53b00146102f7578063eef953131461030a578063f3b349e81461032a578063f698da251461033d575f5ffd5b8063d18da8b114610215578063d1f4cda2146102c4578063dc48471e146102e4575f5ffd5b806373b57f74116100c357806373b57f74146101a657806394739e87146101b9578063956c8327146101e057806397fb510414610202575f5ffd5b8063185eeeac146100e957806341e2c6641461017e578063675402e514610193575b5f5ffd5b61016b6100f7366004611876565b604080516001600160a01b03988916602080830191909152978916818301529588166060870152938716608086015260a085019290925290941660c083015260e082019390935230610100820152466101208083019190915283518083039091018152610140909101909252815191012090565b6040519081526020015b60405180910390f35b61019161018c36600461190c565b6103e4565b005b6101916101a136600461190c565b610479565b6101916101b4366004611988565b610539565b61016b7f4730b4b2fe8de522475e80e010877c5b58ad10eb07fd0436615ee123f743bbe881565b6101e961038481565b60405167ffffffffffffffff9091168152602001610175565b6101916102103660046119fd565b610629565b6102b7610223366004611a5d565b60408051606080820183525f80835260208084018290529284018190529384526001825292829020825160808101845290546001600160601b038082168352600160601b82048116838501908152600160c01b830463ffffffff908116858801908152600160e01b90940460ff16151585890152865197880187529351821687525116928501929092529051169082015290565b6040516101759190611a74565b6102d76102d2366004611ab1565b610847565b6040516101759190611b22565b6101916102f2366004611b9e565b610996565b61016b610305366004611bd1565b610c33565b61031d61031836600461190c565b61102e565b6040516101759190611c44565b61016b610338366004611cfd565b6110c9565b61016b604080517f8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f60208201527f131992c67b15deae2fea2ee6e0448ff6217787c4722ce1b46fba946132054433918101919091527fc89efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc660608201524660808201523060a08201525f9060c00160405160208183030381529060405280519060200120905090565b5f5f6103ef83611229565b915091506103fc83611296565b8054600160c01b900463ffffffff16801580610422575061041f61038482611d32565b42105b15610459576040517f02b81e2900000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b8154610473908490849087906001600160601b03166112f0565b50505050565b5f5f61048483611229565b9150915061049183611296565b8054600160c01b900463ffffffff16156104aa57505050565b805463ffffffff60c01b1916600160c01b4263ffffffff16021781556104d66040840160208501611d45565b6001600160a01b03166104ec6020850185611d45565b6001600160a01b0316837ff5a36fc00a96cbb9cf1f8f59299165e1d8ffffe94396d82904b4da524d16bbce61052361038442611d32565b60405190815260200160405180910390a4505050565b5f5f61054487611229565b91509150610551876115dc565b80546001600160601b0390811690861681118061057f5750866001600160601b0316866001600160601b0316115b156105b6576040517fc91833a100000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b81546001600160601b03600160601b909104811690871611156105ec576040516317a1ae2760e31b815260040160405180910390fd5b806001600160601b0316866001600160601b0316111561061357610613888489888861166a565b61061f83838a896112f0565b5050505050505050565b5f5f61063486611229565b91509150610641866115dc565b80546001600160601b03600160601b90910481169086161115610677576040516317a1ae2760e31b815260040160405180910390fd5b80546001600160601b0390811690861681106106bf576040517f32d2c1a300000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b6106cc878488888861166a565b81546bffffffffffffffffffffffff19166001600160601b0387161782555f6106f58288611d60565b90506107076080890160608a01611d45565b6001600160a01b031663a9059cbb61072560408b0160208c01611d45565b6040517fffffffff0000000000000000000000000000000000000000000000000000000060e084901b1681526001600160a01b0390911660048201526001600160601b03841660248201526044016020604051808303815f875af115801561078f573d5f5f3e3d5ffd5b505050506040513d601f19601f820116820180604052508101906107b39190611d7f565b506107c46040890160208a01611d45565b6001600160a01b03166107da60208a018a611d45565b6001600160a01b0316857f11c4e4c79ad8802431b44c15047ed1ddb82fbfc1abd452c765f7ee3990df13998a858c604051610835939291906001600160601b0393841681529183166020830152909116604082015260600190565b60405180910390a45050505050505050565b60608167ffffffffffffffff81111561086257610862611d9e565b6040519080825280602002602001820160405280156108ab57816020015b604080516060810182525f80825260208083018290529282015282525f199092019101816108805790505b5090505f5b8281101561098f5761096a8484838181106108cd576108cd611db2565b9050602002013560408051606080820183525f80835260208084018290529284018190529384526001825292829020825160808101845290546001600160601b038082168352600160601b8204811683850190815263ffffffff600160c01b8404811685880190815260ff600160e01b90950494909416151585890152865197880187529351821687525116928501929092529051169082015290565b82828151811061097c5761097c611db2565b60209081029190910101526001016108b0565b5092915050565b5f5f6109a184611229565b915091506109ae84611296565b8054600160c01b900463ffffffff1615156001600160601b0384161580156109d4575080155b156109e0575050505050565b81546109fe906001600160601b03600160601b909104811690611d60565b6001600160601b0316846001600160601b03161115610a49576040517f1132981b00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b81545f90610a68908690600160601b90046001600160601b0316611dc6565b83547fffffffff00000000000000000000000000000000ffffffffffffffffffffffff16600160601b6001600160601b038381169190910263ffffffff60c01b1916919091178555909150851615610b4a57610aca6080870160608801611d45565b6040516323b872dd60e01b81523360048201523060248201526001600160601b03871660448201526001600160a01b0391909116906323b872dd906064016020604051808303815f875af1158015610b24573d5f5f3e3d5ffd5b505050506040513d601f19601f82011682018060405250810190610b489190611d7f565b505b8115610bad57610b606040870160208801611d45565b6001600160a01b0316610b766020880188611d45565b6001600160a01b0316857f6bbcbc59913c43e567847487b95410b0b65cf253531b1c6505b21f8359c838fe60405160405180910390a45b610bbd6040870160208801611d45565b6001600160a01b0316610bd36020880188611d45565b6001600160a01b0316857f2a96f534665f3150977dd4c35d91373c74030288edbb3cf83c527dd25012364f8885604051610c239291906001600160601b0392831681529116602082015260400190565b60405180910390a4505050505050565b5f6001600160a01b0387161580610c6c5750610c6c8760601b73ffffffffffffffffffffffffffffffffffffffff1916608360f61b1490565b15610ca3576040517fb387a23800000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b610cca8560601b73ffffffffffffffffffffffffffffffffffffffff1916608360f61b1490565b1580610cde57506001600160a01b0385163b155b15610d15576040517fc1ab6dc100000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b836001600160601b03165f03610d57576040517f56316e8700000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f5f5f335f36604051602001610d6f93929190611de5565b6040516020818303038152906040528051906020012081526020019081526020015f20549050805f5f1b03610dd0576040517f102f04a900000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b60408051336020808301919091526001600160a01b03808c1683850152808b166060840152808a16608084015260a08301889052861660c083015260e082018490523061010083015246610120808401919091528351808403909101815261014090920190925280519101205f81815260016020526040902054909250600160e01b900460ff1615610e8e576040517f0ec0f14900000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b604080516080810182525f8082526001600160601b0388811660208085018281528587018581526001606088018181528b8852935294879020955186549151955192511515600160e01b0260ff60e01b1963ffffffff909416600160c01b029390931664ffffffffff60c01b19968616600160601b027fffffffffffffffff00000000000000000000000000000000000000000000000090931691909516171793909316919091179190911790915590516323b872dd60e01b815233600482015230602482015260448101919091526001600160a01b038716906323b872dd906064016020604051808303815f875af1158015610f8d573d5f5f3e3d5ffd5b505050506040513d601f19601f82011682018060405250810190610fb19190611d7f565b50604080516001600160a01b03898116825288811660208301528581168284015260608201879052608082018490526001600160601b03881660a08301529151918a1691339185917fdebaba36f0e9c7978f536fed432d9360b1f9646d7ca88531c34c3eae43f154a79181900360c00190a4509695505050505050565b61109460408051610120810182525f918101828152606082018390526080820183905260a0820183905260c0820183905260e082018390526101008201929092529081908152604080516060810182525f80825260208281018290529282015291015290565b6040518060400160405280838036038101906110b09190611e0b565b81526020016110c161022385611783565b905292915050565b604080517f4730b4b2fe8de522475e80e010877c5b58ad10eb07fd0436615ee123f743bbe860208201529081018390526001600160601b03821660608201525f9081906080016040516020818303038152906040528051906020012090506111ce604080517f8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f60208201527f131992c67b15deae2fea2ee6e0448ff6217787c4722ce1b46fba946132054433918101919091527fc89efdaa54c0f20c7adf612882df0950f5a951637e0307cdcb4c672f298b8bc660608201524660808201523060a08201525f9060c00160405160208183030381529060405280519060200120905090565b6040517f19010000000000000000000000000000000000000000000000000000000000006020820152602281019190915260428101829052606201604051602081830303815290604052805190602001209150505b92915050565b5f5f61123483611783565b5f81815260016020526040812080549294509250600160601b9091046001600160601b03169003611291576040517f1e07dd9400000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b915091565b6112a36020820182611d45565b6001600160a01b0316336001600160a01b0316146112ed576040517f1435e35700000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b50565b82545f90611307906001600160601b031683611d60565b84549091505f90611329908490600160601b90046001600160601b0316611d60565b604080516080810182525f80825260208083018281528385018381526001606086018181528e8652935294909220925183549251945191511515600160e01b0260ff60e01b1963ffffffff93909316600160c01b029290921664ffffffffff60c01b196001600160601b03968716600160601b027fffffffffffffffff0000000000000000000000000000000000000000000000009095169287169290921793909317169190911717905590915082161561149c576113ee6080850160608601611d45565b6001600160a01b031663a9059cbb61140c6040870160208801611d45565b6040517fffffffff0000000000000000000000000000000000000000000000000000000060e084901b1681526001600160a01b0390911660048201526001600160601b03851660248201526044016020604051808303815f875af1158015611476573d5f5f3e3d5ffd5b505050506040513d601f19601f8201168201806040525081019061149a9190611d7f565b505b6001600160601b03811615611566576114bb6080850160608601611d45565b6001600160a01b031663a9059cbb6114d66020870187611d45565b6040517fffffffff0000000000000000000000000000000000000000000000000000000060e084901b1681526001600160a01b0390911660048201526001600160601b03841660248201526044016020604051808303815f875af1158015611540573d5f5f3e3d5ffd5b505050506040513d601f19601f820116820180604052508101906115649190611d7f565b505b6115766040850160208601611d45565b6001600160a01b031661158c6020860186611d45565b6001600160a01b0316877f5613aed96d5bf39f928408dbe1d4143490b9bb5957eac2dd8e69b5dc4b2206e68685604051610c239291906001600160601b0392831681529116602082015260400190565b6115ec6040820160208301611d45565b6001600160a01b0316336001600160a01b03161415801561162e57506116186060820160408301611d45565b6001600160a01b0316336001600160a01b031614155b1561164c5760405163626a2a3d60e01b815260040160405180910390fd5b336112ed5760405163626a2a3d60e01b815260040160405180910390fd5b5f8061167c60c0880160a08901611d45565b6001600160a01b03161461169f5761169a60c0870160a08801611d45565b6116ac565b6116ac6020870187611d45565b90507351653000000000000000000000000000000000006319045a256116d287876110c9565b85856040518463ffffffff1660e01b81526004016116f293929190611ebb565b602060405180830381865afa92505050801561172b575060408051601f3d908101601f1916820190925261172891810190611ef0565b60015b61174857604051638baa579f60e01b815260040160405180910390fd5b816001600160a01b0316816001600160a01b03161461177a57604051638baa579f60e01b815260040160405180910390fd5b50505050505050565b5f6112236117946020840184611d45565b6117a46040850160208601611d45565b6117b46060860160408701611d45565b6117c46080870160608801611d45565b60808701356117d960c0890160a08a01611d45565b8860c00135604080516001600160a01b03988916602080830191909152978916818301529588166060870152938716608086015260a085019290925290941660c083015260e082019390935230610100820152466101208083019190915283518083039091018152610140909101909252815191012090565b6001600160a01b03811681146112ed575f5ffd5b803561187181611852565b919050565b5f5f5f5f5f5f5f60e0888a03121561188c575f5ffd5b873561189781611852565b965060208801356118a781611852565b955060408801356118b781611852565b945060608801356118c781611852565b93506080880135925060a08801356118de81611852565b96999598509396929591949193505060c09091013590565b5f60e08284031215611906575f5ffd5b50919050565b5f60e0828403121561191c575f5ffd5b61192683836118f6565b9392505050565b80356001600160601b0381168114611871575f5ffd5b5f5f83601f840112611953575f5ffd5b50813567ffffffffffffffff81111561196a575f5ffd5b602083019150836020828501011115611981575f5ffd5b9250929050565b5f5f5f5f5f610140868803121561199d575f5ffd5b6119a787876118f6565b94506119b560e0870161192d565b93506119c4610100870161192d565b925061012086013567ffffffffffffffff8111156119e0575f5ffd5b6119ec88828901611943565b969995985093965092949392505050565b5f5f5f5f6101208587031215611a11575f5ffd5b611a1b86866118f6565b9350611a2960e0860161192d565b925061010085013567ffffffffffffffff811115611a45575f5ffd5b611a5187828801611943565b95989497509550505050565b5f60208284031215611a6d575f5ffd5b5035919050565b6060810161122382846001600160601b0381511682526001600160601b03602082015116602083015263ffffffff60408201511660408301525050565b5f5f60208385031215611ac2575f5ffd5b823567ffffffffffffffff811115611ad8575f5ffd5b8301601f81018513611ae8575f5ffd5b803567ffffffffffffffff811115611afe575f5ffd5b8560208260051b8401011115611b12575f5ffd5b6020919091019590945092505050565b602080825282518282018190525f918401906040840190835b81811015611b9357611b7d8385516001600160601b0381511682526001600160601b03602082015116602083015263ffffffff60408201511660408301525050565b6020939093019260609290920191600101611b3b565b509095945050505050565b5f5f6101008385031215611bb0575f5ffd5b611bba84846118f6565b9150611bc860e0840161192d565b90509250929050565b5f5f5f5f5f5f60c08789031215611be6575f5ffd5b8635611bf181611852565b95506020870135611c0181611852565b94506040870135611c1181611852565b9350611c1f6060880161192d565b92506080870135915060a0870135611c3681611852565b809150509295509295509295565b5f6101408201905082516001600160a01b0381511683526001600160a01b0360208201511660208401526001600160a01b0360408201511660408401526001600160a01b036060820151166060840152608081015160808401526001600160a01b0360a08201511660a084015260c081015160c084015250602083015161098f60e08401826001600160601b0381511682526001600160601b03602082015116602083015263ffffffff60408201511660408301525050565b5f5f60408385031215611d0e575f5ffd5b82359150611bc86020840161192d565b634e487b7160e01b5f52601160045260245ffd5b8082018082111561122357611223611d1e565b5f60208284031215611d55575f5ffd5b813561192681611852565b6001600160601b03828116828216039081111561122357611223611d1e565b5f60208284031215611d8f575f5ffd5b81518015158114611926575f5ffd5b634e487b7160e01b5f52604160045260245ffd5b634e487b7160e01b5f52603260045260245ffd5b6001600160601b03818116838216019081111561122357611223611d1e565b6001600160601b03198460601b168152818360148301375f910160140190815292915050565b5f60e0828403128015611e1c575f5ffd5b5060405160e0810167ffffffffffffffff81118282101715611e4c57634e487b7160e01b5f52604160045260245ffd5b604052611e5883611866565b8152611e6660208401611866565b6020820152611e7760408401611866565b6040820152611e8860608401611866565b606082015260808381013590820152611ea360a08401611866565b60a082015260c0928301359281019290925250919050565b83815260406020820152816040820152818360608301375f818301606090810191909152601f909201601f1916010192915050565b5f60208284031215611f00575f5ffd5b81516119268161185256"
} as const
