// SPDX-License-Identifier: MIT
// The TIP-1034 channel reserve as a contract, for local chains whose hardfork has no native one.
// Must never be deployed where real money is: the chain's own precompile is the authority there.
pragma solidity ^0.8.28;

interface IToken {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

interface ISignatureVerifier {
    function recover(bytes32 hash, bytes calldata signature) external view returns (address);
}

/// Deposits of TIP-20 tokens, paid out against cumulative EIP-712 vouchers.
///
/// Where the native reserve can do what no contract can, a JSON-RPC shim in front of the chain helps out:
///  - it writes the hash of the enclosing transaction into `openContexts` before an `open` runs;
///  - it grants this contract the payer's token allowance, so that deposits need no `approve`.
/// `storageCredits` belongs to a later hardfork than TIP-1034 and is not offered.
contract ChannelReserve {
    struct ChannelDescriptor {
        address payer;
        address payee;
        address operator;
        address token;
        bytes32 salt;
        address authorizedSigner;
        bytes32 expiringNonceHash;
    }

    struct ChannelState {
        uint96 settled;
        uint96 deposit;
        uint32 closeRequestedAt;
    }

    struct Channel {
        ChannelDescriptor descriptor;
        ChannelState state;
    }

    /// One storage word. `opened` outlives the channel: an id that was closed can never be opened again.
    struct Record {
        uint96 settled;
        uint96 deposit;
        uint32 closeRequestedAt;
        bool opened;
    }

    event ChannelOpened(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        address operator,
        address token,
        address authorizedSigner,
        bytes32 salt,
        bytes32 expiringNonceHash,
        uint96 deposit
    );
    event Settled(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint96 cumulativeAmount,
        uint96 deltaPaid,
        uint96 newSettled
    );
    event TopUp(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint96 additionalDeposit,
        uint96 newDeposit
    );
    event CloseRequested(
        bytes32 indexed channelId, address indexed payer, address indexed payee, uint256 closeGraceEnd
    );
    event ChannelClosed(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint96 settledToPayee,
        uint96 refundedToPayer
    );
    event CloseRequestCancelled(bytes32 indexed channelId, address indexed payer, address indexed payee);

    error ChannelAlreadyExists();
    error ChannelNotFound();
    error NotPayer();
    error NotPayeeOrOperator();
    error InvalidPayee();
    error InvalidToken();
    error ZeroDeposit();
    error ExpiringNonceHashNotSet();
    error InvalidSignature();
    error AmountExceedsDeposit();
    error AmountNotIncreasing();
    error CaptureAmountInvalid();
    error CloseNotReady();
    error DepositOverflow();

    uint64 public constant CLOSE_GRACE_PERIOD = 15 minutes;
    bytes32 public constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint96 cumulativeAmount)");

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes12 private constant TIP20_PREFIX = 0x20c000000000000000000000;
    ISignatureVerifier private constant SIGNATURE_VERIFIER =
        ISignatureVerifier(0x5165300000000000000000000000000000000000);

    /// Slot 0, written from outside the EVM: keccak256(sender ++ calldata of the open) => hash of the transaction
    /// that carries it. It need not be cleared for safety: the same context leads to the same channel id, and an id
    /// opens once.
    mapping(bytes32 openKey => bytes32 transactionHash) private openContexts;
    /// Slot 1.
    mapping(bytes32 channelId => Record) private records;

    // -- payer ---------------------------------------------------------------------------------------------------

    function open(
        address payee,
        address operator,
        address token,
        uint96 deposit,
        bytes32 salt,
        address authorizedSigner
    ) external returns (bytes32 channelId) {
        if (payee == address(0) || hasTokenPrefix(payee)) revert InvalidPayee();
        if (!hasTokenPrefix(token) || token.code.length == 0) revert InvalidToken();
        if (deposit == 0) revert ZeroDeposit();

        bytes32 context = openContexts[keccak256(abi.encodePacked(msg.sender, msg.data))];
        if (context == 0) revert ExpiringNonceHashNotSet();
        channelId = computeChannelId(msg.sender, payee, operator, token, salt, authorizedSigner, context);
        if (records[channelId].opened) revert ChannelAlreadyExists();

        records[channelId] = Record({settled: 0, deposit: deposit, closeRequestedAt: 0, opened: true});
        IToken(token).transferFrom(msg.sender, address(this), deposit);
        emit ChannelOpened(
            channelId, msg.sender, payee, operator, token, authorizedSigner, salt, context, deposit
        );
    }

    /// Adds to the deposit and cancels a pending close request. Zero is allowed, to do only the latter.
    function topUp(ChannelDescriptor calldata descriptor, uint96 additionalDeposit) external {
        (bytes32 channelId, Record storage record) = existing(descriptor);
        onlyPayer(descriptor);
        bool cancels = record.closeRequestedAt != 0;
        if (additionalDeposit == 0 && !cancels) return;
        if (additionalDeposit > type(uint96).max - record.deposit) revert DepositOverflow();

        uint96 newDeposit = record.deposit + additionalDeposit;
        record.deposit = newDeposit;
        record.closeRequestedAt = 0;
        if (additionalDeposit != 0) {
            IToken(descriptor.token).transferFrom(msg.sender, address(this), additionalDeposit);
        }
        if (cancels) emit CloseRequestCancelled(channelId, descriptor.payer, descriptor.payee);
        emit TopUp(channelId, descriptor.payer, descriptor.payee, additionalDeposit, newDeposit);
    }

    /// Starts the grace period. A second request neither fails nor restarts it.
    function requestClose(ChannelDescriptor calldata descriptor) external {
        (bytes32 channelId, Record storage record) = existing(descriptor);
        onlyPayer(descriptor);
        if (record.closeRequestedAt != 0) return;
        record.closeRequestedAt = uint32(block.timestamp);
        emit CloseRequested(
            channelId, descriptor.payer, descriptor.payee, block.timestamp + CLOSE_GRACE_PERIOD
        );
    }

    /// Returns what was never settled, once the grace period of a close request has passed.
    function withdraw(ChannelDescriptor calldata descriptor) external {
        (bytes32 channelId, Record storage record) = existing(descriptor);
        onlyPayer(descriptor);
        uint256 requestedAt = record.closeRequestedAt;
        if (requestedAt == 0 || block.timestamp < requestedAt + CLOSE_GRACE_PERIOD) revert CloseNotReady();
        finish(channelId, record, descriptor, record.settled);
    }

    // -- payee, or the operator acting for it --------------------------------------------------------------------

    function settle(ChannelDescriptor calldata descriptor, uint96 cumulativeAmount, bytes calldata signature)
        external
    {
        (bytes32 channelId, Record storage record) = existing(descriptor);
        onlyPayeeOrOperator(descriptor);
        if (cumulativeAmount > record.deposit) revert AmountExceedsDeposit();
        uint96 settledBefore = record.settled;
        if (cumulativeAmount <= settledBefore) revert AmountNotIncreasing();
        requireVoucher(descriptor, channelId, cumulativeAmount, signature);

        record.settled = cumulativeAmount;
        uint96 delta = cumulativeAmount - settledBefore;
        IToken(descriptor.token).transfer(descriptor.payee, delta);
        emit Settled(channelId, descriptor.payer, descriptor.payee, cumulativeAmount, delta, cumulativeAmount);
    }

    /// Captures at most what the voucher says and refunds the rest. Capturing nothing new needs no valid voucher, so
    /// an unused channel closes with 0. The voucher may exceed the deposit; what is captured may not.
    function close(
        ChannelDescriptor calldata descriptor,
        uint96 cumulativeAmount,
        uint96 captureAmount,
        bytes calldata signature
    ) external {
        (bytes32 channelId, Record storage record) = existing(descriptor);
        onlyPayeeOrOperator(descriptor);
        uint96 settledBefore = record.settled;
        if (captureAmount < settledBefore || captureAmount > cumulativeAmount) revert CaptureAmountInvalid();
        if (captureAmount > record.deposit) revert AmountExceedsDeposit();
        if (captureAmount > settledBefore) requireVoucher(descriptor, channelId, cumulativeAmount, signature);
        finish(channelId, record, descriptor, captureAmount);
    }

    // -- reading -------------------------------------------------------------------------------------------------

    function getChannel(ChannelDescriptor calldata descriptor) external view returns (Channel memory) {
        return Channel({descriptor: descriptor, state: getChannelState(idOf(descriptor))});
    }

    /// All zero for a channel that never was or is no more.
    function getChannelState(bytes32 channelId) public view returns (ChannelState memory) {
        Record memory record = records[channelId];
        return ChannelState(record.settled, record.deposit, record.closeRequestedAt);
    }

    function getChannelStatesBatch(bytes32[] calldata channelIds)
        external
        view
        returns (ChannelState[] memory states)
    {
        states = new ChannelState[](channelIds.length);
        for (uint256 i = 0; i < channelIds.length; ++i) {
            states[i] = getChannelState(channelIds[i]);
        }
    }

    function computeChannelId(
        address payer,
        address payee,
        address operator,
        address token,
        bytes32 salt,
        address authorizedSigner,
        bytes32 expiringNonceHash
    ) public view returns (bytes32) {
        return keccak256(
            abi.encode(
                payer,
                payee,
                operator,
                token,
                salt,
                authorizedSigner,
                expiringNonceHash,
                address(this),
                block.chainid
            )
        );
    }

    function getVoucherDigest(bytes32 channelId, uint96 cumulativeAmount) public view returns (bytes32) {
        bytes32 voucher = keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, cumulativeAmount));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), voucher));
    }

    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN_TYPEHASH, keccak256("TIP20 Channel Reserve"), keccak256("1"), block.chainid, address(this)
            )
        );
    }

    // -- inside --------------------------------------------------------------------------------------------------

    /// Ends the channel: pays `captured` (beyond what was settled before) to the payee, the rest to the payer.
    /// TIP-20 transfers revert when they fail, so their result needs no look; the record is gone before they run.
    function finish(
        bytes32 channelId,
        Record storage record,
        ChannelDescriptor calldata descriptor,
        uint96 captured
    ) private {
        uint96 delta = captured - record.settled;
        uint96 refund = record.deposit - captured;
        records[channelId] = Record({settled: 0, deposit: 0, closeRequestedAt: 0, opened: true});
        if (delta != 0) IToken(descriptor.token).transfer(descriptor.payee, delta);
        if (refund != 0) IToken(descriptor.token).transfer(descriptor.payer, refund);
        emit ChannelClosed(channelId, descriptor.payer, descriptor.payee, captured, refund);
    }

    function existing(ChannelDescriptor calldata descriptor)
        private
        view
        returns (bytes32 channelId, Record storage record)
    {
        channelId = idOf(descriptor);
        record = records[channelId];
        if (record.deposit == 0) revert ChannelNotFound();
    }

    function idOf(ChannelDescriptor calldata d) private view returns (bytes32) {
        return computeChannelId(
            d.payer, d.payee, d.operator, d.token, d.salt, d.authorizedSigner, d.expiringNonceHash
        );
    }

    function onlyPayer(ChannelDescriptor calldata descriptor) private view {
        if (msg.sender != descriptor.payer) revert NotPayer();
    }

    function onlyPayeeOrOperator(ChannelDescriptor calldata descriptor) private view {
        // A zero operator names nobody, and nobody sends from the zero address.
        if (msg.sender != descriptor.payee && msg.sender != descriptor.operator) revert NotPayeeOrOperator();
        if (msg.sender == address(0)) revert NotPayeeOrOperator();
    }

    function requireVoucher(
        ChannelDescriptor calldata descriptor,
        bytes32 channelId,
        uint96 cumulativeAmount,
        bytes calldata signature
    ) private view {
        address expected =
            descriptor.authorizedSigner == address(0) ? descriptor.payer : descriptor.authorizedSigner;
        // The chain's own verifier, so that every signature type of the chain is accepted and malleable ones are not.
        try SIGNATURE_VERIFIER.recover(getVoucherDigest(channelId, cumulativeAmount), signature) returns (
            address signer
        ) {
            if (signer != expected) revert InvalidSignature();
        } catch {
            revert InvalidSignature();
        }
    }

    function hasTokenPrefix(address account) private pure returns (bool) {
        return bytes12(bytes20(account)) == TIP20_PREFIX;
    }
}
