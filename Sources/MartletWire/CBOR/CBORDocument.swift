/// The bytes that one decoding reads.
///
/// They belong to the caller, who lends them for the time of the call. Should a value have kept its decoder, the
/// document gets a copy of its own before the call returns.
final class CBORDocument {
    private(set) var base: UnsafeRawPointer
    let count: Int
    let limits: CBORLimits
    let userInfo: [CodingUserInfoKey: any Sendable]
    private var copy: UnsafeMutableRawPointer?

    init(_ bytes: UnsafeRawBufferPointer, limits: CBORLimits, userInfo: [CodingUserInfoKey: any Sendable]) {
        let reader = CBORReader(bytes, limits: limits)
        self.base = reader.base
        self.count = reader.count
        self.limits = limits
        self.userInfo = userInfo
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
