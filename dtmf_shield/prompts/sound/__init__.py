"""What is done to a recording before it is stored: resampling, trimming, band limits, loudness. Build time only."""
