// Runs in the audio thread: hands on blocks of 16-bit samples with the time of their first one.
const BLOCK = 2048; // samples

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
  }

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (let i = 0; i < samples.length; i += 1) {
      if (this.filled === 0) this.began = currentTime + i / sampleRate;
      this.block[this.filled] = Math.round(32767 * Math.max(-1, Math.min(1, samples[i])));
      this.filled += 1;
      if (this.filled === BLOCK) {
        this.port.postMessage({ began: this.began, samples: this.block.slice() });
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
