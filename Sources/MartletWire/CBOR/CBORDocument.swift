/// The bytes that one decoding reads.
///
/// They belong to the caller, who lends them for the time of the call. Should a value have kept its decoder, the
/// document gets a copy of its own before the call returns.
final class CBORDocument {
    private(set) var base: UnsafeRawPointer
    let count: Int
    let limits: CBORLimits
    private let givenUserInfo: [CodingUserInfoKey: any Sendable]
    private let source: (any CBORUserInfoSource)?
    private var copy: UnsafeMutableRawPointer?

    init(
        _ bytes: UnsafeRawBufferPointer, limits: CBORLimits, userInfo: [CodingUserInfoKey: any Sendable],
        source: (any CBORUserInfoSource)?
    ) {
        let reader = CBORReader(bytes, limits: limits)
        self.base = reader.base
        self.count = reader.count
        self.limits = limits
        givenUserInfo = userInfo
        self.source = source
    }

    var userInfo: [CodingUserInfoKey: any Sendable] {
        guard let source else { return givenUserInfo }
        return givenUserInfo.merging(source.userInfo) { given, _ in given }
    }

    deinit {
        copy?.deallocate()
    }

    @inline(__always)
    func reader(at offset: Int) -> CBORReader {
        CBORReader(base: base, count: count, offset: offset, maximumDepth: limits.maximumDepth)
    }

    func keepCopy() {
        let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 1)
        copy.copyMemory(from: base, byteCount: count)
        self.copy = copy
        base = UnsafeRawPointer(copy)
    }
}
