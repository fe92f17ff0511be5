import MartletLink
import MartletWire

/// The owner of a stream in tests: only a number.
final class Tag: StreamOwner {
    let number: Int

    init(_ number: Int) { self.number = number }

    func received(_ kind: FrameHeader.Kind, _ payload: UnsafeRawBufferPointer, _ flags: FrameHeader.Flags) {}
    func wasReset(_ reason: ResetReason) {}
}

extension StreamOwner {
    /// The number of a stream's owner, which is a ``Tag`` in these tests.
    var tag: Int { (self as! Tag).number }
}
